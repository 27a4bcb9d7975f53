"""Picture to network input, once: training, evaluation, export and the service all come through here."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tellapart.errors import BundleError
from tellapart.images import DEFAULT_LIMITS, Limits, decode

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input.

    The picture is resized so that its shorter side is `resize` pixels and the central
    `crop` x `crop` square is taken, both in one step. The network then sees
    `(pixel - mean) / std` per channel, computed on the device.

    Attributes:
        resize: pixels of the shorter side before the crop, at least `crop`.
        crop: pixels of the square's side.
        interpolation: "bilinear" or "bicubic", antialiased.
        mean, std: per RGB channel, in units of [0, 255].
    """

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.resize <= 2048:
            raise BundleError(f"preprocessing crop {self.crop} and resize {self.resize}: expected 1 <= crop <= resize")
        if self.interpolation not in _FILTERS:
            raise BundleError(f"interpolation {self.interpolation!r}: expected one of {sorted(_FILTERS)}")
        numbers = (*self.mean, *self.std)
        if len(self.mean) != 3 or len(self.std) != 3 or not all(map(math.isfinite, numbers)) or min(self.std) <= 0:
            raise BundleError(f"mean {self.mean} and std {self.std}: expected three numbers each, std above 0")

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """The part (left, top, right, bottom) that the network sees of a picture of (width, height) pixels."""
        side = min(size) * self.crop / self.resize
        left, top = ((length - side) / 2 for length in size)
        return left, top, left + side, top + side

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture as the network's input: (crop, crop, 3), HWC uint8 in [0, 255]."""
        box = self.box(image.size)
        resized = image.resize((self.crop, self.crop), _FILTERS[self.interpolation], box=box)
        return np.array(resized, dtype=np.uint8)

    def from_bytes(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
        """Decode and preprocess a file's bytes; see `pixels`.

        Raises:
            ImageError: the bytes are no usable picture.
        """
        return self.pixels(decode(data, shorter_side=self.resize, limits=limits))

    def to_json(self) -> dict[str, Any]:
        """The form kept in model.json."""
        return asdict(self)

    @staticmethod
    def from_json(value: Any) -> "Preprocessing":
        """Read the form kept in model.json.

        Raises:
            BundleError: a field is missing, unknown or out of range.
        """
        try:
            return Preprocessing(**value | {"mean": tuple(value["mean"]), "std": tuple(value["std"])})
        except (TypeError, KeyError) as error:
            raise BundleError(f"preprocessing in model.json is not readable: {error}") from error
