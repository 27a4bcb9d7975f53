"""How "none of these" weighs what it sees of a picture, and what that is worth. Plain numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FALSE_REJECT = 0.05
COLUMNS = 4
_LEAST_SPREAD = 1e-9

Columns = NDArray[np.float64]  # (N, 4), see `Rejection.columns`


@dataclass(frozen=True)
class Share:
    """So many of so many pictures."""

    count: int
    n: int


@dataclass(frozen=True)
class RejectionEvidence:
    """What "none of these" is worth.

    Attributes:
        false_reject: known pictures turned away, by a threshold they had no part in.
        left_out: strangers let through by class index; whoever judges had no part in the weights.
        given: the same of the pictures that the user called strangers; None where there were none.
        by_confidence: all of `left_out` let through were confidence alone to decide.
    """

    false_reject: Share
    left_out: dict[int, Share]
    given: Share | None
    by_confidence: Share


@dataclass(frozen=True)
class Round:
    """Columns of pictures that were not learned from.

    Attributes:
        left_out: the class that was left out; None where every class was learned.
        known: of pictures of the classes learned.
        strangers: of the class left out; where none was, of given strangers.
    """

    left_out: int | None
    known: Columns
    strangers: Columns


@dataclass(frozen=True)
class Rule:
    """Weights (3,) of all columns but familiarity, and what `tellapart.rejection.Rejection` compares with."""

    weights: Columns
    threshold: float
    familiar: float

    def lets_through(self, columns: Columns) -> NDArray[np.bool_]:
        """Which pictures (N,) are answered."""
        result: NDArray[np.bool_] = (columns[:, :3] @ self.weights >= self.threshold) & (columns[:, 3] >= self.familiar)
        return result


def learn_rule(known: Columns) -> Rule:
    """The rule that turns 5 % of these pictures away; by known pictures alone.

    Each column counts by how little known pictures differ in it: weights fitted to the classes left out let more
    pictures of the next one through, by 3 to 5 of 100. Score and familiarity turn away equal shares.
    """
    spread = known.std(axis=0)
    spread[spread < _LEAST_SPREAD] = np.inf  # a column that says nothing weighs nothing
    weights = np.asarray(1.0 / spread[:3])
    scores = known[:, :3] @ weights
    if not np.isfinite(spread[3]):
        return Rule(weights, threshold_of(scores), 0.0)
    both = np.stack([scores, known[:, 3]], axis=1)
    lowest = both.argsort(axis=0).argsort(axis=0).min(axis=1)
    threshold, familiar = np.sort(both, axis=0)[int(threshold_of(lowest))].tolist()
    return Rule(weights, threshold, familiar)


def threshold_of(scores: NDArray[Any]) -> float:
    """At most 5 % of the scores are below it."""
    return float(np.quantile(scores, FALSE_REJECT, method="lower"))


def measure(rounds: Sequence[Round]) -> RejectionEvidence:
    """What the rule is worth on the pictures of rounds, by rules that they had no part in."""
    whole = [r for r in rounds if r.left_out is None]
    indices = sorted({r.left_out for r in rounds if r.left_out is not None})
    classes = {c: [r for r in rounds if r.left_out == c] for c in indices}
    return RejectionEvidence(
        false_reject=_false_reject(whole),
        left_out={c: _let_through(own) for c, own in classes.items()},
        given=_let_through(whole) if any(len(r.strangers) for r in whole) else None,
        by_confidence=_sum([_by_confidence(own) for own in classes.values()]),
    )


def _let_through(rounds: Sequence[Round]) -> Share:
    """Strangers let through by the rule of the same heads' known pictures."""
    known, strangers = map(np.concatenate, _pairs(rounds))
    return _count(learn_rule(known).lets_through(strangers))


def _by_confidence(rounds: Sequence[Round]) -> Share:
    known, strangers = (np.concatenate([part[:, 0] for part in parts]) for parts in _pairs(rounds))
    return _count(strangers >= threshold_of(known))


def _false_reject(whole: Sequence[Round]) -> Share:
    """Known pictures turned away by the rule of the other folds; of a half by the other, where there is one."""
    parts = [r.known for r in whole]
    if len(parts) == 1:
        parts = [parts[0][::2], parts[0][1::2]]
    rules = [learn_rule(np.concatenate([p for j, p in enumerate(parts) if j != i])) for i in range(len(parts))]
    return _sum([_count(~rule.lets_through(part)) for rule, part in zip(rules, parts, strict=True)])


def _pairs(rounds: Sequence[Round]) -> tuple[list[Columns], list[Columns]]:
    return [r.known for r in rounds], [r.strangers for r in rounds]


def _count(which: NDArray[np.bool_]) -> Share:
    return Share(int(which.sum()), len(which))


def _sum(shares: Sequence[Share]) -> Share:
    return Share(sum(s.count for s in shares), sum(s.n for s in shares))
