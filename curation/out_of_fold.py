"""What pictures look like to those who have not seen their label: out-of-fold class probabilities.

Two witnesses are asked. A logistic head sees the directions that tell classes apart; label
spreading over the neighbour graph (Zhou et al. 2004, "Learning with Local and Global Consistency")
sees clusters and forgives a wrong label among many. They err on different pictures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from curation.neighbours import Floats, find_neighbours
from tellapart.folds import Fold, grouped_folds
from tellapart.logistic import fit_path, rotate, standardise

Targets = NDArray[np.int64]
_ROUNDS = 3  # cuts into folds whose answers are averaged
_ITERATIONS = 60
_SPREAD_K, _SPREAD_ALPHA, _SPREAD_STEPS = 10, 0.8, 10
_UNSEEN = 1e-3  # a class no neighbour is of


@dataclass(frozen=True)
class Witnesses:
    """Log-probabilities (N, C) of each witness; a row is NaN where the picture's own class could not be learnt."""

    head: Floats
    spread: Floats

    @property
    def joint(self) -> Floats:
        """(N, C): both together, as if they were independent."""
        total = self.head + self.spread
        return total - _log_sum(total)

    @property
    def heard(self) -> NDArray[np.bool_]:
        """(N,): where both could say something."""
        finite: NDArray[np.bool_] = np.isfinite(self.head + self.spread).all(axis=1)
        return finite

    def believed(self, targets: Targets) -> NDArray[np.bool_]:
        """(N,): where the label given is the one that both together find most probable."""
        agreed: NDArray[np.bool_] = self.looks_like == targets
        return self.heard & agreed

    @property
    def looks_like(self) -> Targets:
        """(N,): the class that both together find most probable; the first where nothing can be said."""
        best: Targets = np.nan_to_num(self.joint, nan=-np.inf).argmax(axis=1)
        return best


def ask(features: Floats, targets: Targets, groups: NDArray[np.str_], n_classes: int, seed: int) -> Witnesses:
    """Ask both witnesses about every picture.

    Args:
        features: (N, D); standardised inside for the head, as likeness is better read from them as they are.
        groups: (N,); a group is on one side of a fold.
    """
    graph = find_neighbours(features, groups, _SPREAD_K).graph()
    rotated = rotate(standardise(features)[0])[0]
    head = np.zeros((len(targets), n_classes), np.float32)
    spread = np.zeros_like(head)
    with threadpool_limits(1):
        for round_ in range(_ROUNDS):
            folds = grouped_folds(targets, groups, seed + round_)
            head += _out_of_fold_head(rotated, targets, n_classes, folds, 1 / features.shape[1])
            spread += _out_of_fold_spread(graph, targets, n_classes, folds)
    head, spread = head / np.float32(_ROUNDS), spread / np.float32(_ROUNDS)
    return Witnesses(head - _log_sum(head), spread - _log_sum(spread))


def _out_of_fold_head(features: Floats, targets: Targets, n_classes: int, folds: list[Fold], c: float) -> Floats:
    """Logits of a logistic head with L2 penalty; NaN rows for a class that the fold's training part lacks."""
    logits = np.full((len(targets), n_classes), np.nan, np.float32)
    for train, held in folds:
        present = np.unique(targets[train])
        known = held[np.isin(targets[held], present)]
        if len(present) < 2 or not len(known):
            continue
        fitted = fit_path(features[train], targets[train], n_classes, (c,), _ITERATIONS)[0]
        logits[known] = fitted.logits(features[known])
    return logits


def _out_of_fold_spread(graph: csr_array, targets: Targets, n_classes: int, folds: list[Fold]) -> Floats:
    """Log-shares of the labels that reach a picture while those of its own fold are hidden."""
    shares = np.full((len(targets), n_classes), np.nan, np.float32)
    labels = np.eye(n_classes, dtype=np.float32)[targets]
    for train, held in folds:
        given = np.zeros_like(labels)
        given[train] = labels[train] / np.maximum(labels[train].sum(axis=0), 1) * len(train) / n_classes
        state = given
        for _ in range(_SPREAD_STEPS):
            state = _SPREAD_ALPHA * (graph @ state) + given
        shares[held] = state[held]
    total = np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    logs: Floats = np.log(shares / total + _UNSEEN)
    return logs


def _log_sum(logits: Floats) -> Floats:
    top = logits.max(axis=1, keepdims=True)
    total: Floats = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return total
