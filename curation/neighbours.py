"""The pictures most like each picture, by the cosine of their features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tellapart.rejection import unit

Floats = NDArray[np.float32]
_BLOCK = 512


@dataclass(frozen=True)
class Neighbours:
    """The k nearest neighbours of N pictures, most similar first.

    Attributes:
        indices: (N, k).
        similarities: (N, k) cosines.
    """

    indices: NDArray[np.int64]
    similarities: Floats

    def first(self, k: int) -> "Neighbours":
        """The k nearest of them."""
        return Neighbours(self.indices[:, :k], self.similarities[:, :k])

    def votes(self, targets: NDArray[np.int64], n_classes: int) -> Floats:
        """(N, C): the share of the neighbours in each class."""
        counts = np.stack([(targets[self.indices] == c).sum(axis=1) for c in range(n_classes)], axis=1)
        shares: Floats = (counts / max(self.indices.shape[1], 1)).astype(np.float32)
        return shares

    def graph(self) -> csr_array:
        """The symmetric, degree-normalised adjacency (N, N) of "is a neighbour of"."""
        n, k = self.indices.shape
        rows = np.repeat(np.arange(n), k)
        one_way = csr_array((np.ones(n * k, dtype=np.float32), (rows, self.indices.ravel())), shape=(n, n))
        either = one_way.maximum(one_way.T)
        scale = 1 / np.sqrt(np.maximum(either.sum(axis=1), 1))
        return csr_array(either.multiply(scale[:, None]).multiply(scale[None, :]))


def find_neighbours(
    features: Floats, groups: NDArray[np.str_], k: int, among: NDArray[np.bool_] | None = None
) -> Neighbours:
    """The k nearest pictures of other groups: a near-duplicate says nothing new about a label.

    Args:
        features: (N, D).
        groups: (N,) group ids.
        among: (N,) which pictures count as neighbours, all by default; fewer than k of them give fewer columns.
    """
    features = unit(features)
    pool = np.arange(len(features)) if among is None else np.flatnonzero(among)
    k = min(k, len(pool))
    codes = np.unique(groups, return_inverse=True)[1]
    indices, similarities = np.empty((len(features), k), np.int64), np.empty((len(features), k), np.float32)
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        cosines = features[rows] @ features[pool].T
        cosines[codes[rows, None] == codes[None, pool]] = -1
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        indices[rows], similarities[rows] = pool[best], np.take_along_axis(cosines, best, axis=1)
    return Neighbours(indices, similarities)
