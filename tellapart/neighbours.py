"""The pictures a classifier learned from, as features: which of them a new picture is most like.

    neighbours.safetensors   features (N, D) float16 of length 1, sha256 (N, 32) uint8, class_index (N,) int64

Beside the features there is only each picture's digest, from which nobody gets the picture back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from tellapart.errors import BundleError, MissingError
from tellapart.rejection import unit

FILE = "neighbours.safetensors"
MAX_ROWS = 20_000
_BLOCK = 2048  # rows turned to float32 at once


@dataclass(frozen=True)
class Neighbour:
    """One picture: the digest of its bytes, its class index, and the cosine to what was asked for."""

    sha256: str
    class_index: int
    similarity: float


@dataclass(frozen=True)
class Neighbours:
    """What a classifier learned from.

    Attributes:
        features: (N, D) float16, length 1.
        sha256: (N, 32) uint8, the digests of the pictures' bytes.
        class_index: (N,) int64.
    """

    features: NDArray[np.float16]
    sha256: NDArray[np.uint8]
    class_index: NDArray[np.int64]

    @staticmethod
    def of(features: NDArray[np.float32], sha256: Sequence[str], class_index: NDArray[np.int64]) -> "Neighbours":
        """Keep features (N, D) of pictures with hexadecimal digests; of more than `MAX_ROWS`, evenly spread ones."""
        kept = np.linspace(0, len(features) - 1, min(len(features), MAX_ROWS)).round().astype(np.int64)
        digests = b"".join(bytes.fromhex(sha256[i]) for i in kept)
        return Neighbours(
            unit(features[kept]).astype(np.float16),
            np.frombuffer(digests, np.uint8).reshape(len(kept), 32),
            class_index[kept].astype(np.int64),
        )

    @property
    def nbytes(self) -> int:
        """Memory they take."""
        return self.features.nbytes + self.sha256.nbytes + self.class_index.nbytes

    def nearest(self, feature: NDArray[np.float32], count: int) -> list[Neighbour]:
        """The `count` pictures whose features have the highest cosine to `feature` (D,), nearest first."""
        direction = unit(feature[None])[0]
        blocks = (self.features[at : at + _BLOCK] for at in range(0, len(self.features), _BLOCK))
        cosines = np.concatenate([block.astype(np.float32) @ direction for block in blocks])
        order = np.argsort(-cosines, kind="stable")[:count]
        return [Neighbour(self.sha256[i].tobytes().hex(), int(self.class_index[i]), float(cosines[i])) for i in order]

    def to_bytes(self) -> bytes:
        """The content of the file."""
        return save({"features": self.features, "sha256": self.sha256, "class_index": self.class_index})


def read_neighbours(folder: Path, dim: int, n_classes: int) -> Neighbours:
    """Read a bundle's neighbours and check their shapes.

    Args:
        dim: D, the number of features.
        n_classes: class indices must be below it.

    Raises:
        MissingError: the bundle has none.
        BundleError: what was expected and what was found.
    """
    path = folder / FILE
    if not path.exists():
        raise MissingError(f"{folder.parent.name}:{folder.name} does not know what it learned from", "Train it again")
    try:
        tensors = load_file(path)
        found = Neighbours(tensors["features"], tensors["sha256"], tensors["class_index"])
    except (OSError, SafetensorError, KeyError) as error:
        raise BundleError(f"{path} cannot be read: {error}", "Train it again") from error
    _check(found, path, dim, n_classes)
    return found


def _check(found: Neighbours, path: Path, dim: int, n_classes: int) -> None:
    rows = len(found.class_index)
    shapes = (found.features.shape, found.sha256.shape, found.class_index.shape)
    expected = ((rows, dim), (rows, 32), (rows,))
    if shapes != expected or not 0 < rows <= MAX_ROWS:
        raise BundleError(f"{path} has shapes {shapes}, expected {expected} with 1 to {MAX_ROWS} rows")
    if found.class_index.min() < 0 or found.class_index.max() >= n_classes:
        raise BundleError(f"{path} names class {found.class_index.max()}, expected 0 to {n_classes - 1}")
