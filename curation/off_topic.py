"""Pictures that belong to none of the classes.

Two signs, each in robust standard deviations (median and median absolute deviation) of the pictures
whose label both witnesses believe, so that many strangers do not hide one another:

    distance   to the tenth nearest believed picture (deep nearest neighbours, Sun et al. 2022), read once
               beside all of them and once beside those of the class it looks most like;
               a stranger of quite another kind is far from all
    confusion  the mean entropy of the neighbours' labels, of the neighbours' head probabilities, and
               of the spread labels; a stranger that looks much like the classes sits among mixed labels

To confusion is added what the mean of the distances exceeds one deviation by. Strangers are often like one another, so
the sum of a picture and the mean of those around it count alike, as two signs that are independent of each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.neighbours import Floats, Neighbours, find_neighbours
from curation.out_of_fold import Targets, Witnesses

_NEIGHBOURS, _NEAREST = 15, 10
_FAR_FROM = 1.0
_LEAST_ENTROPY, _LEAST_DISTANCE = 0.2, 0.02  # deviations are not taken to be smaller, of [0, 1]
_MIN_BELIEVED, _MIN_OF_CLASS = 20, 10


@dataclass(frozen=True)
class Strangeness:
    """How far each of N pictures is from the data set's subject, in robust standard deviations.

    Attributes:
        total: (N,) both signs together, of the picture and of its neighbours.
        distance: (N,) the distance alone, the lesser of both readings; confusion alone may be a
            boundary between two classes, and distance from all a class that is more varied than others.
    """

    total: Floats
    distance: Floats


def strangeness(features: Floats, targets: Targets, groups: NDArray[np.str_], witnesses: Witnesses) -> Strangeness:
    """Weigh every picture against those whose label is believed."""
    believed = witnesses.believed(targets)
    if believed.sum() < _MIN_BELIEVED:
        believed = np.ones(len(targets), np.bool_)
    near = find_neighbours(features, groups, _NEIGHBOURS)
    nearest = find_neighbours(features, groups, _NEAREST, among=believed)
    from_all, from_class = _distances(1 - nearest.similarities[:, -1], believed, witnesses.looks_like)
    signs = [_deviations(e, believed, _LEAST_ENTROPY) for e in _entropies(targets, near, witnesses)]
    beyond = np.maximum((from_all + from_class) / 2 - _FAR_FROM, 0)
    own = np.mean(signs, axis=0) + beyond
    around = own[near.first(_NEAREST).indices].mean(axis=1)
    return Strangeness((own + around) / np.sqrt(2), np.minimum(from_all, from_class))


def _distances(values: Floats, believed: NDArray[np.bool_], looks_like: Targets) -> tuple[Floats, Floats]:
    """Deviations from all believed pictures, and from those of the class each looks like where there are enough."""
    from_all = _deviations(values, believed, _LEAST_DISTANCE)
    from_class = from_all.copy()
    for c in np.unique(looks_like):
        alike = looks_like == c
        if (alike & believed).sum() >= _MIN_OF_CLASS:
            from_class[alike] = _deviations(values, believed & alike, _LEAST_DISTANCE)[alike]
    return from_all, from_class


def _entropies(targets: Targets, near: Neighbours, witnesses: Witnesses) -> list[Floats]:
    head, spread = np.exp(np.nan_to_num(witnesses.head)), np.exp(np.nan_to_num(witnesses.spread))
    smooth = head[near.first(_NEAREST).indices].mean(axis=1)
    return [_entropy(near.votes(targets, head.shape[1])), _entropy(smooth), _entropy(spread)]


def _entropy(shares: Floats) -> Floats:
    """Of each row (N, C), as a share of what C classes can have at most."""
    shares = shares / shares.sum(axis=1, keepdims=True)
    total: Floats = -(shares * np.log(np.maximum(shares, 1e-9))).sum(axis=1) / np.log(shares.shape[1])
    return total


def _deviations(values: Floats, among: NDArray[np.bool_], least: float) -> Floats:
    """Robust z-scores; 1.4826 makes the median absolute deviation one of a normal distribution."""
    middle = np.median(values[among])
    spread = 1.4826 * float(np.median(np.abs(values[among] - middle)))
    result: Floats = ((values - middle) / max(spread, least)).astype(np.float32)
    return result
