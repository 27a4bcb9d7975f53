"""What refitting the head on parts of the pictures tells: leaks through near-copies, and what more pictures would do.

Works on cached features, N pictures (N, D).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.folds import Fold, few_folds
from tellapart.intervals import wilson
from training.head import Floats, Targets, fit_head

MORE = 100  # pictures of a class
_FRACTIONS = (0.25, 0.5, 1.0)
_DRAWS = 400
_LEAST_JUDGED = 10  # of a class
_LEAST_GAIN = 0.002

Flags = NDArray[np.bool_]


def random_split(
    features: Floats, targets: Targets, groups: NDArray[np.str_], n_classes: int, c: float, seed: int
) -> dict[str, Any] | None:
    """Accuracy of a split that tears near-copies apart beside one that keeps them together.

    Returns:
        grouped and random, each with accuracy, accuracy_low, accuracy_high and n; None where no
        two pictures are near-copies.
    """
    if len(np.unique(groups)) == len(groups):
        return None
    alone = np.arange(len(groups)).astype(np.str_)
    return {
        name: _accuracy(*_judge(features, targets, few_folds(targets, units, seed), n_classes, c, seed))
        for name, units in (("grouped", groups), ("random", alone))
    }


def learning_curves(
    features: Floats, targets: Targets, groups: NDArray[np.str_], n_classes: int, c: float, seed: int
) -> list[dict[str, Any]]:
    """What 100 more pictures of each class would add to how many of it are found.

    Heads learn from a quarter, a half and all of the training part; misses fall with a power of the
    number of pictures; resampling the judged pictures gives the interval.

    Returns:
        a row a class, in class index order: n (pictures now), gain, gain_low, gain_high (shares of the
        class's pictures, 95 %), and told, False where the interval holds 0 or there is too little to fit.
    """
    folds = few_folds(targets, groups, seed)
    rows = [_judge(features, targets, folds, n_classes, c, seed, fraction) for fraction in _FRACTIONS]
    right, judged = np.stack([r for r, _ in rows]), rows[0][1]
    counts = np.bincount(targets, minlength=n_classes)
    share = float(np.mean([len(train) / len(targets) for train, _ in folds])) if folds else 0.0
    return [_gain(right[:, judged & (targets == i)], int(counts[i]), share, seed) for i in range(n_classes)]


def _judge(
    features: Floats,
    targets: Targets,
    folds: Sequence[Fold],
    n_classes: int,
    c: float,
    seed: int,
    fraction: float = 1.0,
) -> tuple[Flags, Flags]:
    """Which held-out pictures (N,) were answered rightly, and which were held out."""
    right, judged = np.zeros((2, len(targets)), dtype=np.bool_)
    for train, held in folds:
        part = _part(train, targets, fraction, seed)
        head = fit_head(features[part], targets[part], n_classes, c)
        right[held] = head.probabilities(features[held]).argmax(axis=1) == targets[held]
        judged[held] = True
    return right, judged


def _part(train: NDArray[np.int64], targets: Targets, fraction: float, seed: int) -> NDArray[np.int64]:
    """A share of the training pictures of each class, one at least; a smaller share is inside a larger one."""
    shuffled = np.random.default_rng(seed).permutation(train)
    parts = [shuffled[targets[shuffled] == i] for i in np.unique(targets[train])]
    return np.sort(np.concatenate([part[: max(1, round(fraction * len(part)))] for part in parts]))


def _accuracy(right: Flags, judged: Flags) -> dict[str, Any]:
    n, count = int(judged.sum()), int(right.sum())
    low, high = wilson(count, n)
    return {"n": n, "accuracy": count / max(1, n), "accuracy_low": low, "accuracy_high": high}


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
