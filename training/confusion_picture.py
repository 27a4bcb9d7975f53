"""The confusion matrix as the coordinates of a picture; the template draws it as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHADES = 8
_CELL = 34
_LETTER = 7.2
_NUMBERS_UP_TO = 25  # classes; beyond, cells are coloured points without numbers and names
_SMALL_CELL = 8
_LABEL_LETTERS = 16


@dataclass(frozen=True)
class Cell:
    """One non-empty cell; `shade` is 1 to SHADES by its share of the row, `place` its row and column."""

    x: int
    y: int
    count: int
    shade: int
    right: bool
    title: str
    place: tuple[int, int]


@dataclass(frozen=True)
class ConfusionPicture:
    """All of the picture, in SVG units.

    Attributes:
        side: of one cell.
        margin: room for names at the left and on top, 0 where there are too many to show.
        extent: side of the square of cells.
        overhang: room at the right for the names on top, which lean that way.
        labels: shortened class names in class index order, none where there are too many.
    """

    side: int
    margin: int
    extent: int
    overhang: int
    cells: list[Cell]
    labels: list[str]


def draw_confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> ConfusionPicture:
    """Lay out counts (C, C), rows the true classes."""
    counts = np.asarray(matrix)
    named = len(names) <= _NUMBERS_UP_TO
    labels = [_short(name) for name in names] if named else []
    side = _CELL if named else _SMALL_CELL
    margin = round(16 + _LETTER * max(len(label) for label in labels)) if labels else 1
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    cells = [
        Cell(
            x=margin + int(j) * side,
            y=margin + int(i) * side,
            count=int(counts[i, j]),
            shade=max(1, round(float(shares[i, j]) * SHADES)),
            right=bool(i == j),
            title=f"{names[i]} taken for {names[j]}: {counts[i, j]}" if i != j else f"{names[i]} right: {counts[i, j]}",
            place=(int(i), int(j)),
        )
        for i, j in zip(*counts.nonzero(), strict=True)
    ]
    return ConfusionPicture(side, margin, side * len(names), margin // 2, cells, labels)


def _short(name: str) -> str:
    return name if len(name) <= _LABEL_LETTERS else name[: _LABEL_LETTERS - 1] + "…"
