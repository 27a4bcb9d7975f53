"""The multinomial logistic head on standardised features, and the choice of its regularisation.

scikit-learn's L-BFGS with one BLAS thread: on two cores the solver's small matrix products lose
more to the waiting of threads for one another than they gain (0.05 s a fit beside 0.6 s, at
600 x 1280 features and 10 classes). Fits along the grid start from the one before, and fewer pictures
than features are rotated into their own span first, which leaves the L2-penalised optimum where it is.
"""

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from tellapart.bundle import Head
from tellapart.folds import Fold
from training.calibrate import fit_temperature, negative_log_likelihood

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
DEFAULT_C = 1e-3
_ITERATIONS = 200
_ABSENT = -50.0  # logit below all others of a class without pictures

Floats = NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclass(frozen=True)
class Choice:
    """What cross-validation chose.

    Attributes:
        c: inverse strength of the L2 penalty, as scikit-learn's C.
        temperature: fitted on out-of-fold logits at that C.
        folds: how many folds chose; 0 where there were too few pictures and defaults were taken.
        loss: mean negative log-likelihood of those logits at that temperature; infinite where nothing chose.
        view: index of the view of the pictures that was chosen, see `Features`.
    """

    c: float
    temperature: float
    folds: int
    loss: float = math.inf
    view: int = 0


def fit_head(features: Floats, targets: Targets, n_classes: int, c: float, temperature: float = 1.0) -> Head:
    """Fit on features (N, D) and class indices (N,); standardisation is folded into weight and bias."""
    with _one_thread():
        path = _fit_path(features, targets, n_classes, (c,))
    return Head(path[0].weight, path[0].bias, temperature)


def choose(features: Floats, targets: Targets, n_classes: int, folds: list[Fold], tick: Callable[[], None]) -> Choice:
    """Choose C and temperature by the log-likelihood of calibrated out-of-fold logits.

    Pictures whose class is missing from their fold's training part say nothing about either
    and are passed over.

    Args:
        tick: called after each fold.
    """
    with _one_thread():
        logits = _out_of_fold(features, targets, n_classes, folds, tick)
    seen = np.isfinite(logits[0]).all(axis=1)
    if not seen.any():
        return Choice(DEFAULT_C, 1.0, 0)
    temperatures = [fit_temperature(row[seen], targets[seen]) for row in logits]
    losses = [
        negative_log_likelihood(row[seen].astype(np.float64), targets[seen], t)
        for row, t in zip(logits, temperatures, strict=True)
    ]
    best = int(np.argmin(losses))
    return Choice(GRID[best], temperatures[best], len(folds), losses[best])


@cache
def _libraries() -> ThreadpoolController:
    """What computes with threads here; looking for it takes as long as a small fit."""
    return ThreadpoolController()


def _one_thread() -> AbstractContextManager[Any]:
    limits: AbstractContextManager[Any] = _libraries().limit(limits=1)
    return limits


def _out_of_fold(
    features: Floats, targets: Targets, n_classes: int, folds: list[Fold], tick: Callable[[], None]
) -> Floats:
    """Logits (grid, N, C) from heads that had not seen the picture; NaN where none knew its class."""
    logits = np.full((len(GRID), len(targets), n_classes), np.nan, dtype=np.float32)
    for train, held in folds:
        known = held[np.isin(targets[held], targets[train])]
        for row, head in zip(logits, _fit_path(features[train], targets[train], n_classes, GRID), strict=True):
            row[known] = features[known] @ head.weight.T + head.bias
        tick()
    return logits


def _fit_path(features: Floats, targets: Targets, n_classes: int, grid: tuple[float, ...]) -> list[Head]:
    """A head for each C of a rising grid."""
    mean, std = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    std[std < 1e-12] = 1.0
    present = np.unique(targets)
    if len(present) < 2:
        nothing = np.zeros((1, features.shape[1])), np.zeros(1)
        return [_fold_in(*nothing, mean, std, present, n_classes)] * len(grid)
    rotated, basis = _rotate(((features - mean) / std).astype(np.float32))
    model = LogisticRegression(max_iter=_ITERATIONS, warm_start=True)
    heads = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near the optimum is near enough
        for c in grid:
            model.set_params(C=c).fit(rotated, targets)
            weight, bias = _both_sides(model.coef_, model.intercept_)
            heads.append(_fold_in(weight if basis is None else weight @ basis.T, bias, mean, std, present, n_classes))
    return heads


def _rotate(standard: Floats) -> tuple[Floats, Floats | None]:
    """Coordinates (N, N) in an orthonormal basis (D, N) of the pictures' span, where that is smaller."""
    if len(standard) >= standard.shape[1]:
        return standard, None
    basis, coordinates = qr(standard.T, mode="economic")
    return np.ascontiguousarray(coordinates.T), basis


def _both_sides(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Two classes come as one row z with probability sigmoid(z), which is softmax(-z / 2, z / 2)."""
    if len(weight) > 1:
        return weight, bias
    half = np.array([-0.5, 0.5])
    return half[:, None] * weight, half * bias


def _fold_in(
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    present: Targets,
    n_classes: int,
) -> Head:
    """The head on features as they are, with a row for every class, present or not."""
    scaled = weight / std
    full_weight = np.zeros((n_classes, weight.shape[1]))
    full_bias = np.full(n_classes, _ABSENT)
    full_weight[present] = scaled
    full_bias[present] = bias - scaled @ mean
    return Head(full_weight.astype(np.float32), full_bias.astype(np.float32))
