"""The multinomial logistic head on standardised features, and the choice of its regularisation.

One BLAS thread fits: on two cores the solver's small matrix products lose more to the waiting of threads
for one another than they gain (0.05 s a fit beside 0.6 s, at 600 x 1280 features and 10 classes).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from tellapart.folds import Fold
from tellapart.head import Head
from tellapart.logistic import NEAR, Linear, Span, fit_path, rotate, standardise
from training.calibrate import fit_adjustment, fit_temperature, negative_log_likelihood
from training.forked import forked_map

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
DEFAULT_C = 1e-3
_NARROW = 0.5  # pictures by features: the span of more takes longer to find than it saves in a few fits
_NEAR = 1e-3  # tolerance that choosing asks for: losses are the same to three digits, in half the steps

Floats = NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclass(frozen=True)
class Choice:
    """What cross-validation chose.

    Attributes:
        c: inverse strength of the L2 penalty, as scikit-learn's C.
        temperature: fitted on out-of-fold logits at that C.
        adjustment: for classes of unequal size, likewise; see `fit_adjustment`.
        folds: how many folds chose; 0 where there were too few pictures and defaults were taken.
        view: index of the view of the pictures that was chosen, see `Features`.
    """

    c: float
    temperature: float
    folds: int
    view: int = 0
    adjustment: float = 0.0


class Learner:
    """Pictures (N, D) that heads learn from, made ready for it once; it is for within `one_thread`."""

    def __init__(self, features: Floats) -> None:
        standard, self._mean, self._std = standardise(features)
        pays = len(standard) < _NARROW * standard.shape[1]
        self._coordinates, self._span = rotate(standard) if pays else (standard, Span(standard, None))

    def fit(
        self,
        targets: Targets,
        n_classes: int,
        grid: Sequence[float],
        start: Head | None = None,
        near: float = NEAR,
        adjustment: float = 0.0,
    ) -> Iterator[Head]:
        """A head for each C of a rising grid, from class indices (N,); standardisation is folded into it.

        Args:
            start: where the solver begins; it ends where it would from anywhere, sooner.
            near: see `fit_path`.
            adjustment: see `fit_adjustment`.
        """
        less = adjustment * np.log(_shares(targets, n_classes))
        begin = None if start is None else self._inside(start)
        for found in fit_path(self._coordinates, targets, n_classes, grid, start=begin, near=near):
            weight = self._span.outside(found.weight) / self._std
            bias = found.bias - weight @ self._mean - less
            yield Head(weight.astype(np.float32), bias.astype(np.float32))

    def _inside(self, head: Head) -> Linear:
        bias = head.bias + head.weight @ self._mean
        return Linear(self._span.within(head.weight * self._std), bias)


def fit_head(features: Floats, targets: Targets, n_classes: int, c: float) -> Head:
    """Fit on features (N, D) and class indices (N,)."""
    return fit_chosen(features, targets, n_classes, Choice(c, 1.0, 0))


def fit_chosen(features: Floats, targets: Targets, n_classes: int, choice: Choice) -> Head:
    """Fit on features (N, D) of the chosen view and class indices (N,)."""
    with one_thread():
        (head,) = Learner(features).fit(targets, n_classes, (choice.c,), adjustment=choice.adjustment)
    return replace(head, temperature=choice.temperature)


def choose(features: Floats, targets: Targets, n_classes: int, folds: list[Fold], tick: Callable[[], None]) -> Choice:
    """Choose C, temperature and adjustment by the log-likelihood of calibrated out-of-fold logits.

    Pictures whose class is missing from their fold's training part say nothing about them
    and are passed over.

    Args:
        tick: called after each fold.
    """
    with one_thread():
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
    temperature, adjustment = fit_adjustment(logits[best][seen], targets[seen], _shares(targets, n_classes))
    return Choice(GRID[best], temperature, len(folds), adjustment=adjustment)


def _shares(targets: Targets, n_classes: int) -> NDArray[np.float64]:
    """Of each class (C,) among class indices (N,); 1 for one without a picture, which nothing may lift."""
    counts = np.bincount(targets, minlength=n_classes)
    result: NDArray[np.float64] = np.where(counts, counts / max(1, len(targets)), 1.0)
    return result


@cache
def _libraries() -> ThreadpoolController:
    """What computes with threads here; looking for it takes as long as a small fit."""
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Keep linear algebra on one core; what needs no more than milliseconds loses by sharing."""
    limits: AbstractContextManager[Any] = _libraries().limit(limits=1)
    return limits


def _out_of_fold(
    features: Floats, targets: Targets, n_classes: int, folds: list[Fold], tick: Callable[[], None]
) -> Floats:
    """Logits (grid, N, C) from heads that had not seen the picture; NaN where none knew its class."""
    logits = np.full((len(GRID), len(targets), n_classes), np.nan, dtype=np.float32)
    known = [held[np.isin(targets[held], targets[train])] for train, held in folds]

    def answer(fold: int) -> list[Floats]:
        train, asked = folds[fold][0], features[known[fold]]
        heads = Learner(features[train]).fit(targets[train], n_classes, GRID, near=_NEAR)
        return [asked @ head.weight.T + head.bias for head in heads]

    for which, answers in zip(known, forked_map(answer, range(len(folds))), strict=True):
        logits[:, which] = answers
        tick()
    return logits
