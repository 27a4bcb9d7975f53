"""Why an answer: the heat map as a picture to lay over the one that was sent, and one sentence for people."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tellapart.wording import confidence

Box = tuple[float, float, float, float]
Heat = NDArray[np.float32]

_RED = (220, 30, 20)
_STRONGEST = 0.7
_LONGER_SIDE = 448
_WIDE = 0.4  # share of the places that speak for the class from which they are no one place
_CLOSE = 0.5  # the second class's share of the first one's probability from which it is worth a word
_PLACES = (
    ("the upper left", "the upper part", "the upper right"),
    ("the left", "the middle", "the right"),
    ("the lower left", "the lower part", "the lower right"),
)


@dataclass(frozen=True)
class Seen:
    """What a classifier made of one picture.

    Attributes:
        classes: class names in class index order, (C,).
        probabilities: calibrated, (C,).
        none_of_these: whether the head's own rule says so.
        asked: the class index that is to be explained.
        heat: (h, w), what each place adds to the class asked for; negative where it speaks against it.
    """

    classes: Sequence[str]
    probabilities: NDArray[np.float32]
    none_of_these: bool
    asked: int
    heat: Heat


def heat_png(heat: Heat, size: tuple[int, int], box: Box) -> bytes:
    """A PNG of the picture's proportions: red, and the more opaque the more a place speaks for the class.

    Args:
        size: (width, height) of the picture.
        box: the part of the picture (left, top, right, bottom) that the network saw; the rest stays clear.
    """
    scale = _LONGER_SIDE / max(size)
    width, height = (max(1, round(side * scale)) for side in size)
    left, top, right, bottom = (round(edge * scale) for edge in box)
    part = (max(1, right - left), max(1, bottom - top))
    smooth = Image.fromarray(_positive(heat)).resize(part, Image.Resampling.BICUBIC)
    opacity = Image.fromarray((np.clip(np.asarray(smooth), 0, 1) * _STRONGEST * 255).astype(np.uint8))
    picture = Image.new("RGBA", (width, height), (*_RED, 0))
    picture.paste(Image.merge("RGBA", [*Image.new("RGB", part, _RED).split(), opacity]), (left, top))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def sentence(seen: Seen, size: tuple[int, int], box: Box) -> str:
    """What the classifier answers for the picture, how sure it is, and which part of the picture speaks for it."""
    order = np.argsort(-seen.probabilities, kind="stable")
    top = int(order[0])
    where = _where(seen.heat, size, box)
    answer = f"{seen.classes[top]} ({confidence(seen.probabilities[top])})"
    if seen.asked != top:
        asked = f"{seen.classes[seen.asked]} ({confidence(seen.probabilities[seen.asked])})"
        return f"The answer is {answer} and not {asked}; {_speaks(seen.classes[seen.asked], where)}."
    speaks = _speaks(seen.classes[top], where)
    if seen.none_of_these:
        return f"This is probably none of the classes: {answer} comes nearest, and {speaks}."
    second = int(order[min(1, len(order) - 1)])
    if second != top and seen.probabilities[second] >= _CLOSE * seen.probabilities[top]:
        close = f"{seen.classes[second]} ({confidence(seen.probabilities[second])})"
        return f"This may be {answer}, but {close} is nearly as likely; {speaks}."
    return f"This looks like {answer}: {speaks}."


def _speaks(name: str, where: str) -> str:
    return f"what speaks most for {name} is in {where}" if where else f"no place in it speaks for {name} by itself"


def _where(heat: Heat, size: tuple[int, int], box: Box) -> str:
    """The part of the picture the heat lies in, in words; "" where there is none."""
    positive = _positive(heat)
    if not positive.any():
        return ""
    if (positive > 0.5).mean() > _WIDE:
        return "most of the picture"
    left, top, right, bottom = box
    rows, columns = positive.shape
    across = left + (right - left) * float(positive.sum(axis=0) @ (np.arange(columns) + 0.5)) / columns / positive.sum()
    down = top + (bottom - top) * float(positive.sum(axis=1) @ (np.arange(rows) + 0.5)) / rows / positive.sum()
    row, column = (max(0, min(2, int(3 * at / side))) for at, side in ((down, size[1]), (across, size[0])))
    return f"{_PLACES[row][column]} of the picture"


def _positive(heat: Heat) -> Heat:
    """What speaks for the class, at most 1."""
    strongest = max(float(heat.max()), 1e-9)
    return (np.maximum(heat, 0) / strongest).astype(np.float32)
