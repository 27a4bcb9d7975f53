"""The pictures in the report: examples by cell of the confusion matrix, and the worst mistakes with heat maps."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tellapart.errors import TellapartError
from tellapart.heatmap import activation_maps, overlay
from tellapart.images import decode
from training.features import FeatureSource, in_background
from training.protocol import Outcome

MOST_MISTAKES = 12
MOST_EXAMPLES = 100
_MOST_WRONG = 60
_LARGE, _SMALL = 200, 120  # pixels of the longer side


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: picture and heat map ("" for none) as data: URLs, what it was, what was answered."""

    picture: str
    heat: str
    true: str
    answered: str
    confidence: float


@dataclass(frozen=True)
class ExampleGroup:
    """Examples of one cell of the confusion matrix: (picture as a data: URL, confidence) of some of `count`."""

    place: tuple[int, int]
    true: str
    answered: str
    count: int
    pictures: list[tuple[str, float]]

    @property
    def right(self) -> bool:
        """Whether the answer is the class."""
        return self.place[0] == self.place[1]


def worst_mistakes(
    outcome: Outcome, class_names: Sequence[str], source: FeatureSource | None = None, most: int = MOST_MISTAKES
) -> list[Mistake]:
    """The wrong answers it was surest of, surest first; a picture that is gone by now is passed over."""
    predicted, confidence = outcome.probabilities.argmax(axis=1), outcome.probabilities.max(axis=1)
    targets = outcome.judged.targets
    wrong = np.flatnonzero(predicted != targets)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")]
    pictures = zip(surest.tolist(), _thumbnails(outcome, surest, _LARGE), strict=True)
    shown = list(islice(((i, picture) for i, picture in pictures if picture), most))
    heats = _heats(outcome, [i for i, _ in shown], source) if source else {}
    return [
        Mistake(picture, heats.get(i, ""), class_names[targets[i]], class_names[predicted[i]], float(confidence[i]))
        for i, picture in shown
    ]


def examples(outcome: Outcome, class_names: Sequence[str], most: int = MOST_EXAMPLES) -> list[ExampleGroup]:
    """Up to `most` of the judged pictures, mistakes first, spread evenly over the cells they fall in."""
    predicted, confidence = outcome.probabilities.argmax(axis=1), outcome.probabilities.max(axis=1)
    targets = outcome.judged.targets
    cells: dict[tuple[int, int], list[int]] = {}
    for i in range(len(targets)):
        cells.setdefault((int(targets[i]), int(predicted[i])), []).append(i)
    wrong = _spread({place: found for place, found in cells.items() if place[0] != place[1]}, min(most, _MOST_WRONG))
    right = _spread({place: found for place, found in cells.items() if place[0] == place[1]}, most - len(wrong))
    chosen = sorted(wrong | right)
    pictures = dict(zip(chosen, _thumbnails(outcome, chosen, _SMALL), strict=True))
    groups = []
    for place in sorted(cells, key=lambda p: (p[0], p[0] != p[1], p[1])):
        shown = [(pictures[i], float(confidence[i])) for i in cells[place] if pictures.get(i)]
        if shown:
            names = class_names[place[0]], class_names[place[1]]
            groups.append(ExampleGroup(place, *names, len(cells[place]), shown))
    return groups


def _spread(cells: dict[tuple[int, int], list[int]], most: int) -> set[int]:
    """Up to `most` indices, one from each cell in turn."""
    chosen: set[int] = set()
    for turn in range(max(map(len, cells.values()), default=0)):
        for found in cells.values():
            if turn < len(found) and len(chosen) < most:
                chosen.add(found[turn])
    return chosen


def _heats(outcome: Outcome, indices: Sequence[int], source: FeatureSource) -> dict[int, str]:
    """Heat maps of the answers as data: URLs by index among the judged; none where a picture is gone."""
    size = source.extractor.at_once
    batches = (indices[at : at + size] for at in range(0, len(indices), size))
    parts = in_background(lambda batch: _heats_at_once(outcome, batch, source), batches)
    return {i: url for part in parts for i, url in part.items()}


def _heats_at_once(outcome: Outcome, indices: Sequence[int], source: FeatureSource) -> dict[int, str]:
    pixels: dict[int, NDArray[np.uint8]] = {}
    for i in indices:
        with suppress(OSError, TellapartError):
            pixels[i] = source.preprocessing.from_bytes(outcome.judged.samples[i].path.read_bytes())
    if not pixels:
        return {}
    answers = outcome.probabilities[list(pixels)].argmax(axis=1)
    maps = activation_maps(source.extractor, outcome.head, np.stack(list(pixels.values())), answers)
    return {i: _data_url(overlay(seen, heat), _LARGE) for (i, seen), heat in zip(pixels.items(), maps, strict=True)}


def _thumbnails(outcome: Outcome, indices: Iterable[int], side: int) -> Iterator[str]:
    """Judged pictures by index as small ones, see `_thumbnail`."""
    return in_background(lambda i: _thumbnail(outcome.judged.samples[i].path, side), indices)


def _thumbnail(path: Path, side: int) -> str:
    """A small JPEG as a data: URL; "" where the picture is gone."""
    try:
        return _data_url(decode(path.read_bytes(), shorter_side=side), side)
    except (OSError, TellapartError):
        return ""


def _data_url(image: Image.Image, side: int) -> str:
    """Made of the pixels alone, so that no metadata goes along."""
    image.thumbnail((side, side))
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    data = io.BytesIO()
    bare.save(data, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
