"""Multinomial logistic regression with an L2 penalty, for fewer pictures than features and more: the one fit there is.

scikit-learn's L-BFGS. Fits along a grid of C start from the one before. Fewer pictures than features are
rotated into their own span first, which leaves the penalised optimum where it is and makes each step cheaper.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

ABSENT = -50.0  # logit, below all others, of a class without pictures
NEAR = 1e-4  # largest slope of the loss at which a fit ends
_ITERATIONS = 200
_FLOOR = 0.1  # of the median deviation: a feature that hardly varies is not blown up to weigh as much as others
_RIDGE = 1e-5  # of a picture's squared length: far above float64's rounding, far below what tells pictures apart

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
    """Features (N, D) less their mean over their deviation, with the mean and the deviation (D,) taken.

    A deviation counts as at least a share of the median of those of features that vary: what is live in one picture
    alone would otherwise decide about each new picture where it is live, by a weight hundreds of times the others'.
    Constant features are 0.
    """
    mean, std = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    varying = std[std > 1e-12]
    std = np.maximum(std, _FLOOR * np.median(varying) if len(varying) else 1.0)
    return ((features - mean) / std).astype(np.float32), mean, std


@dataclass(frozen=True)
class Span:
    """The way between features and coordinates in the span of pictures; see `rotate`."""

    _standard: Floats
    _factor: Wide | None

    def outside(self, weight: Wide) -> Wide:
        """Weights (C, N) for the coordinates as weights (C, D) for the features."""
        if self._factor is None:
            return weight
        on_pictures = solve_triangular(self._factor, weight.T, trans="T", lower=True, check_finite=False)
        result: Wide = (self._standard.T @ on_pictures.astype(np.float32)).T.astype(np.float64)
        return result

    def within(self, weight: Wide) -> Wide:
        """Weights (C, D) for the features as weights (C, N) for the coordinates."""
        if self._factor is None:
            return weight
        logits = (self._standard @ weight.T.astype(np.float32)).astype(np.float64)
        result: Wide = solve_triangular(self._factor, logits, lower=True, check_finite=False).T
        return result


def rotate(standard: Floats) -> tuple[Floats, Span]:
    """Coordinates (N, N) of standardised pictures (N, D) in their own span where that is smaller, else as they are.

    The Cholesky factor of their inner products has their lengths and angles, and nothing else about them counts for
    a fit; an orthonormal basis would take five times as long.
    """
    if len(standard) >= standard.shape[1]:
        return standard, Span(standard, None)
    wide = standard.astype(np.float64)  # errors of float32 grow with the largest cluster, and outgrow the ridge
    products = wide @ wide.T
    products[np.diag_indices_from(products)] += _RIDGE * max(1.0, float(np.trace(products)) / len(products))
    factor = cholesky(products, lower=True, overwrite_a=True, check_finite=False)
    return np.ascontiguousarray(factor, dtype=np.float32), Span(standard, factor)


def fit_path(
    features: Floats,
    targets: NDArray[np.int64],
    n_classes: int,
    grid: Sequence[float],
    iterations: int = _ITERATIONS,
    start: Linear | None = None,
    near: float = NEAR,
) -> list[Linear]:
    """A fit on features (N, D) and class indices (N,) for each C of a rising grid.

    Of one class alone nothing is learned: it is always the answer.

    Args:
        start: a fit to begin from, where there are three classes or more.
        near: the largest slope of the loss at which a fit ends.
    """
    present = np.unique(targets)
    if len(present) < 2:
        return [_whole(np.zeros((1, features.shape[1])), np.zeros(1), present, n_classes)] * len(grid)
    model = LogisticRegression(max_iter=iterations, tol=near, warm_start=True)
    if start is not None and len(present) > 2:
        model.coef_, model.intercept_ = start.weight[present], start.bias[present]
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near the optimum is near enough
        warnings.filterwarnings("ignore", "The number of unique classes")  # many classes, few pictures: so be it
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
