"""The curves of a fine-tuning as the coordinates of pictures; the template draws them as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 240, 150
MARGIN = 40
_LEAST_EXTENT = 1e-6


@dataclass(frozen=True)
class Line:
    """One curve: its name, whether it is drawn dashed, and its points as SVG's polyline wants them."""

    name: str
    dashed: bool
    points: str


@dataclass(frozen=True)
class Chart:
    """Curves over epochs 0 to `last`, with the values at the bottom and at the top as text."""

    title: str
    lines: list[Line]
    bottom: str
    top: str
    last: int


def draw_curves(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Charts of accuracy and loss by epoch; none where there are fewer than two epochs to join."""
    if len(rows) < 2:
        return []
    accuracy = _chart("Validation pictures answered rightly", rows, {"validation": "val_accuracy"}, "{:.0%}")
    loss = _chart("Loss (lower is better)", rows, {"validation": "val_loss", "training": "train_loss"}, "{:.2f}")
    return [accuracy, loss]


def _chart(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], form: str) -> Chart:
    values = [row[column] for column in columns.values() for row in rows if row[column] is not None]
    low, high, last = min(values), max(values), rows[-1]["epoch"]
    extent = max(high - low, _LEAST_EXTENT)
    lines = [
        Line(
            name,
            dashed=number > 0,
            points=" ".join(
                f"{MARGIN + WIDTH * row['epoch'] / last:.1f},{MARGIN + HEIGHT * (high - row[column]) / extent:.1f}"
                for row in rows
                if row[column] is not None
            ),
        )
        for number, (name, column) in enumerate(columns.items())
    ]
    return Chart(title, lines, form.format(low), form.format(high), last)
