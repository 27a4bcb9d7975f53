"""What a classifier is worth, from its probabilities and the true classes. Plain numpy.

N pictures, C classes; targets (N,) class indices, probabilities (N, C).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.intervals import wilson

Floats = NDArray[np.floating[Any]]
Targets = NDArray[np.int64]
ECE_BINS = 15


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


def effective_number(right: NDArray[np.bool_], groups: NDArray[np.str_]) -> float:
    """How many pictures that share nothing tell the share of right answers (N,) as surely as these, in groups (N,).

    Near-copies are answered alike, pictures of one author perhaps not, so it is taken from the answers: as many as give
    the variance that whole groups have (effective sample size: Korn and Graubard 1998). It is N where each picture
    is alone, and at the least N squared by the sum of the squares of the groups' sizes (Kish 1965): all answered alike.
    """
    n = len(groups)
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    least = n**2 / max(1, int((sizes**2).sum()))
    share = float(right.mean()) if n else 0.0
    if share in (0.0, 1.0):
        return least
    squares = float((np.bincount(place, weights=right - share) ** 2).sum())
    return max(least, n**2 * share * (1 - share) / max(squares, n * share * (1 - share)))


def balanced_accuracy_interval(matrix: NDArray[np.int64], worth: float = 1.0) -> tuple[float, float]:
    """95 % interval of the mean recall; (0, 1) where nothing was measured.

    Wilson's, of as many pictures as would give one share the variance of the mean: that of its classes' recalls,
    or where it is larger, that of one recall in every class, as a class that was always right has none of its own
    (effective sample size: Korn and Graubard 1998). Classes of equal size give the interval of the accuracy.

    Args:
        worth: of a picture; below 1 where there are near-copies, see `effective_number`.
    """
    support = matrix.sum(axis=1)
    n, hits = support[support > 0], matrix.diagonal()[support > 0]
    if not len(n):
        return 0.0, 1.0
    mean, recalls = balanced_accuracy(matrix), hits / n
    variance = max((recalls * (1 - recalls) / n).sum(), mean * (1 - mean) * (1 / n).sum()) / len(n) ** 2
    effective = worth * (mean * (1 - mean) / variance if variance else len(n) ** 2 / (1 / n).sum())
    return wilson(mean * effective, effective)


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
