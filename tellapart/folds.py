"""Cutting pictures into folds for cross-validation: stratified by class, never through a group."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

FOLDS = 5
_FEW = 3
_LARGE = 6_000  # pictures times classes
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def grouped_folds(targets: NDArray[np.int64], groups: NDArray[np.str_], seed: int, folds: int = FOLDS) -> list[Fold]:
    """(training indices, held-out indices) of each fold; all of a group is on one side.

    Few pictures give fewer folds, and none where they cannot be cut at all. A class with less
    groups than folds is held out in some of them only.
    """
    folds = min(folds, len(np.unique(groups)), int(np.bincount(targets).max(initial=0)))
    if folds < 2:
        return []
    cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns of classes smaller than the number of folds
        cut = list(cutter.split(np.zeros((len(targets), 1)), targets, groups))
    return [(train, held) for train, held in cut if len(train) and len(held)]


def few_folds(targets: NDArray[np.int64], groups: NDArray[np.str_], seed: int) -> list[Fold]:
    """Three folds, or one of the three where there is so much that fitting is slow and one says enough."""
    folds = grouped_folds(targets, groups, seed, _FEW)
    return folds[:1] if len(targets) * len(np.unique(targets)) > _LARGE else folds
