"""What refitting the head on parts of the pictures tells: leaks through near-copies, and what more pictures would do.

Works on cached features, N pictures (N, D).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.folds import Fold, few_folds
from tellapart.head import Head
from tellapart.intervals import wilson
from training.head import Floats, Learner, Targets
from training.metrics import effective_number

MORE = 100  # pictures of a class
_FRACTIONS = (0.25, 0.5, 1.0)
_DRAWS = 400
_LEAST_JUDGED = 10  # of a class
_LEAST_GAIN = 0.002

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Refits:
    """Pictures (N, D) with class indices and groups (N,), and what refits of the head on parts of them share."""

    features: Floats
    targets: Targets
    groups: NDArray[np.str_]
    n_classes: int
    c: float
    seed: int
    adjustment: float = 0.0

    @cached_property
    def folds(self) -> list[Fold]:
        """Indices, see `few_folds`."""
        return few_folds(self.targets, self.groups, self.seed)

    @cached_property
    def heads(self) -> list[Head]:
        """One of the training part of each fold."""
        return [self.head(train) for train, _ in self.folds]

    @cached_property
    def judged(self) -> tuple[Flags, Flags]:
        """Which pictures (N,) were answered rightly by the head that had not seen them, and which were held out."""
        judged = np.zeros(len(self.targets), dtype=np.bool_)
        for _, held in self.folds:
            judged[held] = True
        return self._right(self.heads), judged

    def right_of_share(self, share: float) -> Flags:
        """Which held-out pictures (N,) were answered rightly by heads of a share of the training pictures."""
        parts = (_part(train, self.targets, share, self.seed) for train, _ in self.folds)
        return self._right([self.head(part) for part in parts])

    def head(self, part: NDArray[np.int64], start: Head | None = None) -> Head:
        """A head of the pictures of these indices; see `Learner.fit`."""
        (head,) = Learner(self.features[part]).fit(
            self.targets[part], self.n_classes, (self.c,), start, adjustment=self.adjustment
        )
        return head

    def _right(self, heads: Sequence[Head]) -> Flags:
        right = np.zeros(len(self.targets), dtype=np.bool_)
        for (_, held), head in zip(self.folds, heads, strict=True):
            right[held] = head.probabilities(self.features[held]).argmax(axis=1) == self.targets[held]
        return right


def random_split(refits: Refits) -> dict[str, Any] | None:
    """Accuracy of a split that tears near-copies apart beside one that keeps them together.

    Returns:
        grouped and random, each with accuracy, accuracy_low, accuracy_high and n; None where no
        two pictures are near-copies.
    """
    if len(np.unique(refits.groups)) == len(refits.groups):
        return None
    alone = replace(refits, groups=np.arange(len(refits.groups)).astype(np.str_))
    return {name: _accuracy(*found.judged, refits.groups) for name, found in (("grouped", refits), ("random", alone))}


def learning_curves(refits: Refits) -> list[dict[str, Any]]:
    """What 100 more pictures of each class would add to how many of it are found.

    Heads learn from a quarter, a half and all of the training part; misses fall with a power of the
    number of pictures; resampling the judged pictures gives the interval.

    Returns:
        a row a class, in class index order: n (pictures now), gain, gain_low, gain_high (shares of the
        class's pictures, 95 %), and told, False where the interval holds 0 or there is too little to fit.
    """
    targets, folds = refits.targets, refits.folds
    all_of_it, judged = refits.judged
    right = np.stack([*(refits.right_of_share(share) for share in _FRACTIONS[:-1]), all_of_it])
    counts = np.bincount(targets, minlength=refits.n_classes)
    share = float(np.mean([len(train) / len(targets) for train, _ in folds])) if folds else 0.0
    return [_gain(right[:, judged & (targets == i)], int(n), share, refits.seed) for i, n in enumerate(counts)]


def _part(train: NDArray[np.int64], targets: Targets, fraction: float, seed: int) -> NDArray[np.int64]:
    """A share of the training pictures of each class, one at least; a smaller share is inside a larger one."""
    shuffled = np.random.default_rng(seed).permutation(train)
    parts = [shuffled[targets[shuffled] == i] for i in np.unique(targets[train])]
    return np.sort(np.concatenate([part[: max(1, round(fraction * len(part)))] for part in parts]))


def _accuracy(right: Flags, judged: Flags, groups: NDArray[np.str_]) -> dict[str, Any]:
    n, effective = int(judged.sum()), effective_number(right[judged], groups[judged])
    accuracy = int(right.sum()) / max(1, n)
    low, high = wilson(accuracy * effective, effective)
    return {"n": n, "accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}


def _gain(right: Flags, n: int, share: float, seed: int) -> dict[str, Any]:
    """The gain of one class from which of its judged pictures (fractions, M) were answered rightly."""
    judged = right.shape[1]
    if judged < _LEAST_JUDGED:
        return {"n": n, "gain": None, "gain_low": None, "gain_high": None, "told": False}
    sizes = n * share * np.array(_FRACTIONS)
    drawn = np.random.default_rng(seed).integers(0, judged, (_DRAWS, judged))
    gains = _extrapolate(right[:, drawn].mean(axis=2), sizes, n, judged)
    gain = float(_extrapolate(right.mean(axis=1, keepdims=True), sizes, n, judged)[0])
    low, high = (float(q) for q in np.quantile(gains, (0.025, 0.975)))
    return {"n": n, "gain": gain, "gain_low": low, "gain_high": high, "told": low > _LEAST_GAIN}


def _extrapolate(recall: NDArray[np.float64], sizes: NDArray[np.float64], n: int, judged: int) -> NDArray[np.float64]:
    """Gains (draws,) by misses = a * size ** -b through recalls (fractions, draws)."""
    misses = np.log((1 - recall) + 0.5 / judged)
    x = np.log(sizes)
    x = x - x.mean()
    slope = np.minimum(0.0, (x[:, None] * misses).sum(axis=0) / (x**2).sum())
    now = 1 - recall[-1]
    result: NDArray[np.float64] = now * (1 - ((n + MORE) / n) ** slope)
    return result
