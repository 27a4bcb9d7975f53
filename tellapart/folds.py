"""Cutting pictures into folds for cross-validation: stratified by class, never through a group."""

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
_FEW = 3
_LARGE = 6_000  # pictures times classes
_ROUNDING = 1e-12
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def grouped_folds(targets: NDArray[np.int64], groups: NDArray[np.str_], seed: int, folds: int = FOLDS) -> list[Fold]:
    """(training indices, held-out indices) of each fold; all of a group is on one side.

    Few pictures give fewer folds, and none where they cannot be cut at all. A class with less
    groups than folds is held out in some of them only.
    """
    folds = min(folds, len(np.unique(groups)), int(np.bincount(targets).max(initial=0)))
    if folds < 2:
        return []
    fold = _deal(targets, groups, seed, folds)
    cut = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(folds)]
    return [(train, held) for train, held in cut if len(train) and len(held)]


def _deal(targets: NDArray[np.int64], groups: NDArray[np.str_], seed: int, folds: int) -> NDArray[np.int64]:
    """The fold (N,) of each picture: groups in an order drawn by chance, those with most of one class first.

    Each goes where there is least of what it holds, as shares of the classes, and of those where there is least.
    """
    group = np.unique(groups, return_inverse=True)[1]
    holds = np.zeros((group.max() + 1, targets.max() + 1))
    np.add.at(holds, (group, targets), 1)
    holds = holds[:, holds.any(axis=0)]
    weights = 1 / np.square(holds.sum(axis=0))
    drawn = np.random.RandomState(seed).permutation(len(holds))
    dealt, there = np.zeros(len(holds), dtype=np.int64), np.zeros((folds, holds.shape[1]))
    for g in drawn[np.argsort(-holds.std(axis=1)[drawn], kind="stable")]:
        alike = there @ (weights * holds[g])
        least = np.flatnonzero(alike <= alike.min() + _ROUNDING)
        dealt[g] = least[np.argmin(there[least].sum(axis=1))]
        there[dealt[g]] += holds[g]
    return dealt[group]


def few_folds(targets: NDArray[np.int64], groups: NDArray[np.str_], seed: int) -> list[Fold]:
    """Three folds, or one of the three where there is so much that fitting is slow and one says enough."""
    folds = grouped_folds(targets, groups, seed, _FEW)
    return folds[:1] if len(targets) * len(np.unique(targets)) > _LARGE else folds
