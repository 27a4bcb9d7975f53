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
    """Weights (4,), 0 or above: each column counts by how little known pictures differ in it.

    All but familiarity weigh the same: weights fitted to the classes left out let more pictures of the next one
    through, by 3 to 5 of 100. How familiarity is weighed against the others is a logistic fit of known
    pictures against given strangers and classes left out, which weigh the same.

    Args:
        without: leave out the rounds of this class, so that it can judge.
    """
    used = [r for r in rounds if without is None or r.left_out != without]
    known = np.concatenate([r.known for r in used])
    spread = known.std(axis=0)
    spread[spread < _LEAST_SPREAD] = np.inf  # a column that says nothing weighs nothing
    weights = np.asarray(1.0 / spread)
    if weights[-1] == 0 or not any(r.left_out is None and len(r.strangers) for r in used):
        return weights
    usual, familiar = _balance(used, weights)
    return np.append(usual * weights[:-1], familiar * weights[-1])


def _balance(rounds: Sequence[Round], weights: Columns) -> tuple[float, float]:
    """Factors of familiarity and of the rest, 0 or above, by a logistic fit."""

    def both(columns: Columns) -> Columns:
        parts = columns * weights
        return np.stack([parts[:, :-1].sum(axis=1), parts[:, -1]], axis=1)

    known = both(np.concatenate([r.known for r in rounds]))
    middle = known.mean(axis=0)
    sides = [[r.strangers for r in rounds if (r.left_out is None) == given and len(r.strangers)] for given in (0, 1)]
    strangers = [both(np.concatenate(side)) - middle for side in sides if side]

    def loss(parameters: Columns) -> float:
        factors, bias = parameters[:2], parameters[2]
        wrong = [float(np.logaddexp(0, side @ factors + bias).mean()) for side in strangers]
        right = float(np.logaddexp(0, -((known - middle) @ factors + bias)).mean())
        return right + float(np.mean(wrong)) + _SHRINK * float(factors @ factors)

    found = minimize(loss, np.array([1.0, 1.0, 0.0]), bounds=[(0, None), (0, None), (None, None)], method="L-BFGS-B").x
    return (float(found[0]), float(found[1])) if found[:2].any() else (1.0, 1.0)


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
