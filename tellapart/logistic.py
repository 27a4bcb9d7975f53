"""Multinomial logistic regression with an L2 penalty, for fewer pictures than features and more: the one fit there is.

scikit-learn's L-BFGS. Fits along a grid of C start from the one before. Fewer pictures than features are
rotated into their own span first, which leaves the penalised optimum where it is and makes each step cheaper.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

ABSENT = -50.0  # logit, below all others, of a class without pictures
_ITERATIONS = 200

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """logits = features @ weight.T + bias; weight (C, D), bias (C,), a row for every class, present or not."""

    weight: Wide
    bias: Wide

    def logits(self, features: Floats) -> Wide:
        """(N, C) of features (N, D)."""
        result: Wide = features @ self.weight.T + self.bias
        return result


def standardise(features: Floats) -> tuple[Floats, Wide, Wide]:
    """Features (N, D) of mean 0 and deviation 1, with the mean and deviation (D,) they had; constant ones are 0."""
    mean, std = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    std[std < 1e-12] = 1.0
    return ((features - mean) / std).astype(np.float32), mean, std


def rotate(standard: Floats) -> tuple[Floats, Floats | None]:
    """Coordinates (N, N) in an orthonormal basis (D, N) of the pictures' span, where that is smaller; else None."""
    if len(standard) >= standard.shape[1]:
        return standard, None
    basis, coordinates = qr(standard.T, mode="economic")
    return np.ascontiguousarray(coordinates.T), basis


def fit_path(
    features: Floats, targets: NDArray[np.int64], n_classes: int, grid: Sequence[float], iterations: int = _ITERATIONS
) -> list[Linear]:
    """A fit on features (N, D) and class indices (N,) for each C of a rising grid.

    Of one class alone nothing is learned: it is always the answer.
    """
    present = np.unique(targets)
    if len(present) < 2:
        return [_whole(np.zeros((1, features.shape[1])), np.zeros(1), present, n_classes)] * len(grid)
    model = LogisticRegression(max_iter=iterations, warm_start=True)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near the optimum is near enough
        for c in grid:
            model.set_params(C=c).fit(features, targets)
            found.append(_whole(*_both_sides(model.coef_, model.intercept_), present, n_classes))
    return found


def _both_sides(weight: Wide, bias: Wide) -> tuple[Wide, Wide]:
    """Two classes come as one row z with probability sigmoid(z), which is softmax(-z / 2, z / 2)."""
    if len(weight) > 1:
        return weight, bias
    half = np.array([-0.5, 0.5])
    return half[:, None] * weight, half * bias


def _whole(weight: Wide, bias: Wide, present: NDArray[np.int64], n_classes: int) -> Linear:
    rows, column = np.zeros((n_classes, weight.shape[1])), np.full(n_classes, ABSENT)
    rows[present], column[present] = weight, bias
    return Linear(rows, column)
