"""Learning to say "none of these", and measuring how well it is said. Plain numpy on cached features.

Strangers come from the data set itself: a class is left out, a head is fitted without it, and its
pictures are shown to that head. Pictures the user calls strangers join them. What tells strangers
from the rest is four numbers a picture (`tellapart.rejection`), weighed by how much known pictures differ in
them; the thresholds turn away 5 % of pictures the head had not learned from.

What was tried, and what each would let through, is in docs/honesty.md.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tellapart.head import Head
from tellapart.none_of_these import LEAST_PICTURES
from tellapart.rejection import NEAREST, Rejection, log_odds, unit
from training.forked import forked_map
from training.head import fit_head
from training.refits import Refits
from training.stranger_evidence import (
    COLUMNS,
    Columns,
    RejectionEvidence,
    Round,
    Rule,
    learn_rule,
    measure,
)

MOST_LEFT_OUT = 10  # classes
LEAST_GIVEN = 4  # strangers from which a class of their own is learned
EXEMPLARS = 200  # or more, where there are many classes: a thousand classifiers fit into a server's memory
_EXEMPLARS_A_CLASS = 5
_MOST_EXEMPLARS = 1000
_PARTS = 3  # of the strangers, where there is one fold only
_LEAST_SPACING = 0.25  # times the median: to copies of one picture, everything else would be far

Floats = NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclass(frozen=True)
class _Pictures:
    """Known pictures (N, D) with their class indices (N,), and strangers (M, D)."""

    features: Floats
    targets: Targets
    strangers: Floats


@dataclass(frozen=True)
class _Settings:
    """How heads are fitted."""

    n_classes: int
    c: float
    temperature: float


def learn_rejection(
    refits: Refits, given: Floats, temperature: float, answers: Floats | None = None
) -> tuple[Rejection, RejectionEvidence] | None:
    """Fit the rule on learning pictures and measure it; None where there are too few.

    Args:
        given: (M, D) of pictures that show none of the classes, M may be 0.
        answers: probabilities (N, C) by the head that is shipped, where it has not learned from these pictures;
            the threshold is for it then, else for heads fitted without each fold.
    """
    folds, targets = refits.folds, refits.targets
    if len(targets) < LEAST_PICTURES or not folds:
        return None
    pictures = _Pictures(refits.features, targets, given)
    settings = _Settings(refits.n_classes, refits.c, temperature)
    part = np.arange(len(given)) % (len(folds) if len(folds) > 1 else _PARTS)
    rounds = _rounds(pictures, refits, part, settings)
    columns = np.concatenate([r.known for r in rounds if r.left_out is None])
    if answers is not None:
        columns[:, 0] = log_odds(answers[np.concatenate([held for _, held in folds])])
    rule = learn_rule(columns)
    if not rule.familiar:  # too few strangers to learn from some and set a threshold on others
        pictures = replace(pictures, strangers=given[:0])
    return _describe(pictures, settings, rule), measure(rounds)


def _rounds(pictures: _Pictures, refits: Refits, part: NDArray[np.int64], settings: _Settings) -> list[Round]:
    """All rounds: some folds without each of some classes, and each fold with all; fold i holds part i."""
    whole = [(fold, None, pictures.strangers[part == fold]) for fold in range(len(refits.heads))]
    without = [
        (fold, c, pictures.features[pictures.targets == c][i :: len(folds)])
        for c, folds in _folds_without(refits).items()
        for i, fold in enumerate(folds)
    ]

    def look(chosen: tuple[int, int | None, Floats]) -> Round:
        fold, c, strangers = chosen
        return _round(pictures, refits, fold, part != fold, c, strangers, settings)

    return list(forked_map(look, [*without, *whole]))


def _folds_without(refits: Refits) -> dict[int, list[int]]:
    """The classes to leave out, each with the folds that look at it.

    They take turns, and as many look as hold out enough pictures of the other classes to set a threshold.
    """
    found = {}
    for i, c in enumerate(_pick_classes(refits.targets, refits.seed)):
        in_turn = np.roll(np.arange(len(refits.folds)), -i)
        known = np.cumsum([(refits.targets[refits.folds[fold][1]] != c).sum() for fold in in_turn])
        if known[-1]:
            found[c] = in_turn[: int(np.searchsorted(known, LEAST_PICTURES)) + 1].tolist()
    return found


def _pick_classes(targets: Targets, seed: int) -> list[int]:
    """Classes to leave out; two must remain to tell apart."""
    present = np.unique(targets)
    if len(present) < 3:
        return []
    most = min(len(present), MOST_LEFT_OUT)
    return sorted(np.random.default_rng(seed).choice(present, most, replace=False).tolist())


def _round(
    pictures: _Pictures,
    refits: Refits,
    fold: int,
    taught: NDArray[np.bool_],
    left_out: int | None,
    strangers: Floats,
    settings: _Settings,
) -> Round:
    """Learn from a fold's training part without a class, and from the strangers that teach; look at the rest."""
    train, held = (part[pictures.targets[part] != left_out] for part in refits.folds[fold])
    learned = _Pictures(pictures.features[train], pictures.targets[train], pictures.strangers[taught])
    head = refits.heads[fold]
    if left_out is not None:
        head = refits.head(train, start=head)
    head = replace(head, temperature=settings.temperature)
    space = _describe(learned, settings, Rule(np.ones(3), 0.0, 0.0))
    return Round(left_out, _columns(head, space, pictures.features[held]), _columns(head, space, strangers))


def _columns(head: Head, space: Rejection, features: Floats) -> Columns:
    if not len(features):
        return np.zeros((0, COLUMNS))
    return space.columns(features, head.probabilities(features))


def _describe(learned: _Pictures, settings: _Settings, rule: Rule) -> Rejection:
    chosen = _evenly(learned.targets, min(max(EXEMPLARS, _EXEMPLARS_A_CLASS * settings.n_classes), _MOST_EXEMPLARS))
    exemplars = unit(learned.features[chosen]).astype(np.float16).astype(np.float32)  # as the bundle keeps them
    versus = _versus(learned, settings)
    found = (versus.weight, versus.bias) if versus else (None, None)
    sure, alike, local = rule.weights.tolist()
    return Rejection(exemplars, spacing(exemplars), sure, alike, local, rule.threshold, rule.familiar, *found)


def _evenly(targets: Targets, most: int) -> NDArray[np.int64]:
    """Indices of so many pictures at most, classes in turn, drawn by chance within each."""
    rank = np.empty(len(targets), dtype=np.int64)
    shuffled = np.random.default_rng(0).permutation(len(targets))
    for i in np.unique(targets):
        own = shuffled[targets[shuffled] == i]
        rank[own] = np.arange(len(own))
    return np.sort(np.argsort(rank, kind="stable")[:most])


def spacing(exemplars: Floats) -> Floats:
    """The mean of 1 - cosine (E,) of each exemplar to its nearest others."""
    cosines = exemplars @ exemplars.T
    np.fill_diagonal(cosines, -np.inf)
    count = max(1, min(NEAREST, len(exemplars) - 1))
    distances = 1 - np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)
    result: Floats = np.maximum(distances, max(1e-6, _LEAST_SPACING * float(np.median(distances))))
    return result


def _versus(learned: _Pictures, settings: _Settings) -> Head | None:
    """A head with the strangers as one more class, the last; None where there are too few."""
    if len(learned.strangers) < LEAST_GIVEN:
        return None
    features = np.concatenate([learned.features, learned.strangers])
    targets = np.append(learned.targets, np.full(len(learned.strangers), settings.n_classes))
    return fit_head(features, targets, settings.n_classes + 1, settings.c)
