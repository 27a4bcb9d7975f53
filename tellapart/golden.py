"""A generated picture whose answer is kept in the bundle: a classifier that answers differently is not served."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tellapart.errors import BundleError
from tellapart.preprocess import Preprocessing

MAX_DRIFT = 1e-2  # of a probability; between float32 and bfloat16 it is some thousandths


def golden_pixels(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The picture as the network's input, (1, H, W, 3): coloured waves, the same everywhere and always."""
    place = np.arange(preprocessing.crop) / preprocessing.crop
    waves = [np.sin(2 * np.pi * (k * place[:, None] + (3 - k) * place[None, :])) for k in range(3)]
    return np.round(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)[None]


def check_golden(expected: Sequence[float], found: NDArray[np.float32]) -> None:
    """Compare the probabilities (C,) kept in a bundle with those computed here.

    Raises:
        BundleError: they differ by more than `MAX_DRIFT`.
    """
    drift = float(np.abs(np.array(expected) - found).max()) if len(expected) == len(found) else 1.0
    if not drift <= MAX_DRIFT:
        raise BundleError(
            f"its answer for the golden picture is {drift:.3f} off what it was when it was trained", "Train it again"
        )
