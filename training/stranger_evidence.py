"""How "none of these" weighs what it sees of a picture, and what that is worth. Plain numpy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

FALSE_REJECT = 0.05
COLUMNS = 4
_SHRINK = 1e-2
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


def weigh(rounds: Sequence[Round], without: int | None = None) -> Columns:
    """Weights (4,), 0 or above, by a logistic fit of known against strangers, each side weighing the same.

    Given strangers weigh as much as all classes left out: they are what it will be shown.

    Args:
        without: leave out the rounds of this class, so that it can judge.
    """
    used = [r for r in rounds if len(r.strangers) and (without is None or r.left_out != without)]
    known = np.concatenate([r.known for r in used or rounds])
    middle, spread = known.mean(axis=0), known.std(axis=0)
    spread[spread < _LEAST_SPREAD] = np.inf  # a column that says nothing weighs nothing
    if not used:
        return np.asarray(1.0 / spread)
    kinds = [[r.strangers for r in used if (r.left_out is None) == given] for given in (True, False)]
    strangers = [(np.concatenate(kind) - middle) / spread for kind in kinds if kind]
    known = (known - middle) / spread

    def loss(parameters: Columns) -> float:
        weights, bias = parameters[:-1], parameters[-1]
        wrong = [float(np.logaddexp(0, kind @ weights + bias).mean()) for kind in strangers]
        right = float(np.logaddexp(0, -(known @ weights + bias)).mean())
        return right + float(np.mean(wrong)) + _SHRINK * float(weights @ weights)

    bounds = [(0, None)] * COLUMNS + [(None, None)]
    found = minimize(loss, np.array([1.0] * COLUMNS + [0.0]), bounds=bounds, method="L-BFGS-B").x[:-1]
    weights: Columns = (found if found.any() else np.ones(COLUMNS)) / spread
    return weights


def threshold_of(scores: NDArray[np.float64]) -> float:
    """At most 5 % of the scores are below it."""
    return float(np.quantile(scores, FALSE_REJECT, method="lower"))


def measure(rounds: Sequence[Round]) -> RejectionEvidence:
    """What the rule is worth on the pictures of rounds, by thresholds and weights that they had no part in."""
    whole = [r for r in rounds if r.left_out is None]
    classes = sorted({r.left_out for r in rounds if r.left_out is not None})
    sure = np.eye(COLUMNS)[0]
    return RejectionEvidence(
        false_reject=_false_reject(whole, weigh(rounds)),
        left_out={c: _let_through(rounds, c, weigh(rounds, without=c)) for c in classes},
        given=_given(rounds, whole) if any(len(r.strangers) for r in whole) else None,
        by_confidence=_sum([_let_through(rounds, c, sure) for c in classes]),
    )


def _let_through(rounds: Sequence[Round], class_index: int, weights: Columns) -> Share:
    """Strangers of a class let through, by the threshold of the same heads' known pictures."""
    own = [r for r in rounds if r.left_out == class_index]
    threshold = threshold_of(np.concatenate([r.known for r in own]) @ weights)
    scores = np.concatenate([r.strangers for r in own]) @ weights
    return Share(int((scores >= threshold).sum()), len(scores))


def _false_reject(whole: Sequence[Round], weights: Columns) -> Share:
    """Known pictures turned away by the threshold of the other folds; of a half by the other, where there is one."""
    parts = [r.known @ weights for r in whole]
    if len(parts) == 1:
        parts = [parts[0][::2], parts[0][1::2]]
    turned = [
        int((part < threshold_of(np.concatenate([p for j, p in enumerate(parts) if j != i]))).sum())
        for i, part in enumerate(parts)
    ]
    return Share(sum(turned), sum(map(len, parts)))


def _given(rounds: Sequence[Round], whole: Sequence[Round]) -> Share:
    """Given strangers let through: each half judged by weights the other half took part in."""
    count = n = 0
    for half in (0, 1):
        other = [replace(r, strangers=r.strangers[1 - half :: 2]) for r in whole]
        weights = weigh([*(r for r in rounds if r.left_out is not None), *other])
        threshold = threshold_of(np.concatenate([r.known for r in whole]) @ weights)
        scores = np.concatenate([r.strangers[half::2] for r in whole]) @ weights
        count, n = count + int((scores >= threshold).sum()), n + len(scores)
    return Share(count, n)


def _sum(shares: Sequence[Share]) -> Share:
    return Share(sum(s.count for s in shares), sum(s.n for s in shares))
