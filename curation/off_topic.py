"""Pictures that belong to none of the classes.

Two signs, each in robust standard deviations (median and median absolute deviation) of the pictures
whose label both witnesses believe, so that many strangers do not hide one another:

    distance   to the tenth nearest believed picture (deep nearest neighbours, Sun et al. 2022);
               a stranger of quite another kind is far from all of them
    confusion  the mean entropy of the neighbours' labels, of the neighbours' head probabilities, and
               of the spread labels; a stranger that looks much like the classes sits among mixed labels

The score is confusion plus what distance exceeds one deviation by.
"""

import numpy as np
from numpy.typing import NDArray

from curation.neighbours import Floats, Neighbours, find_neighbours
from curation.out_of_fold import Targets, Witnesses

_NEIGHBOURS, _NEAREST = 15, 10
_FAR_FROM = 1.0
_LEAST_ENTROPY, _LEAST_DISTANCE = 0.1, 0.005  # deviations are not taken to be smaller, of [0, 1]
_MIN_BELIEVED = 20


def off_topic_deviations(features: Floats, targets: Targets, groups: NDArray[np.str_], witnesses: Witnesses) -> Floats:
    """How far each picture (N,) is from the data set's subject, in robust standard deviations."""
    believed = witnesses.believed(targets)
    if believed.sum() < _MIN_BELIEVED:
        believed = np.ones(len(targets), np.bool_)
    near = find_neighbours(features, groups, _NEIGHBOURS)
    nearest = find_neighbours(features, groups, _NEAREST, among=believed)
    distance = _deviations(1 - nearest.similarities[:, -1], believed, _LEAST_DISTANCE)
    signs = [_deviations(e, believed, _LEAST_ENTROPY) for e in _entropies(targets, near, witnesses)]
    total: Floats = np.mean(signs, axis=0) + np.maximum(distance - _FAR_FROM, 0)
    return total


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
