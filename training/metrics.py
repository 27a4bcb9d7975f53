"""What a classifier is worth, from its probabilities and the true classes. Plain numpy.

N pictures, C classes; targets (N,) class indices, probabilities (N, C).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Targets = NDArray[np.int64]
ECE_BINS = 15
_DRAWS = 2000


def summarize(targets: Targets, probabilities: Floats, class_names: Sequence[str]) -> dict[str, Any]:
    """Every metric by name, as JSON-able values.

    Keys: n, accuracy, balanced_accuracy, ece, per_class ({class name: {precision, recall, f1,
    support}}) and confusion (rows are true classes, columns predicted ones).
    """
    matrix = confusion(targets, probabilities.argmax(axis=1), len(class_names))
    return {
        "n": len(targets),
        "accuracy": float(np.trace(matrix)) / max(1, len(targets)),
        "balanced_accuracy": balanced_accuracy(matrix),
        "ece": expected_calibration_error(targets, probabilities),
        "per_class": dict(zip(class_names, per_class(matrix), strict=True)),
        "confusion": matrix.tolist(),
    }


def confusion(targets: Targets, predicted: Targets, n_classes: int) -> NDArray[np.int64]:
    """(C, C) counts: row is the true class, column the predicted one."""
    matrix = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(matrix, (targets, predicted), 1)
    return matrix


def balanced_accuracy(matrix: NDArray[np.int64]) -> float:
    """Mean recall over the classes that have pictures."""
    support = matrix.sum(axis=1)
    present = support > 0
    return float((matrix.diagonal()[present] / support[present]).mean()) if present.any() else 0.0


def balanced_accuracy_interval(matrix: NDArray[np.int64], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean recall, from draws of each class's recall; (0, 1) where nothing was measured.

    The draws are Jeffreys' (beta with a half added to hits and misses), as resampling a class that
    was always right would never show a mistake.
    """
    support = matrix.sum(axis=1)
    hits, misses = (counts[support > 0] for counts in (matrix.diagonal(), support - matrix.diagonal()))
    if not len(hits):
        return 0.0, 1.0
    draws = np.random.default_rng(seed).beta(hits + 0.5, misses + 0.5, (_DRAWS, len(hits))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def per_class(matrix: NDArray[np.int64]) -> list[dict[str, float | int]]:
    """Precision, recall, F1 and support of each class; a ratio of nothing is 0."""
    rows: list[dict[str, float | int]] = []
    for i in range(len(matrix)):
        hits, support, predicted = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
        rows.append(
            {
                "precision": hits / max(1, predicted),
                "recall": hits / max(1, support),
                "f1": 2 * hits / max(1, predicted + support),
                "support": support,
            }
        )
    return rows


def expected_calibration_error(targets: Targets, probabilities: Floats, bins: int = ECE_BINS) -> float:
    """Expected calibration error over equal-width bins of the top confidence (Guo et al. 2017).

    Bins are half-open from below, (0, 1/bins], ..., (1 - 1/bins, 1].
    """
    if not len(targets):
        return 0.0
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(targets))
