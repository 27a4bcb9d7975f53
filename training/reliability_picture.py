"""The reliability diagram as the coordinates of a picture; the template draws it as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tellapart.wording import percent

SIDE = 240
MARGIN = 34


@dataclass(frozen=True)
class Point:
    """One bin in SVG units: its confidence (x), its accuracy (y) with its interval, and its dot."""

    x: float
    y: float
    low: float
    high: float
    radius: float
    title: str


def draw_reliability(bins: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Points of `reliability_bins`; the square of SIDE units stands MARGIN from the left and the top."""
    largest = max((row["n"] for row in bins), default=1)
    return [
        Point(
            x=round(MARGIN + SIDE * row["confidence"], 1),
            y=_up(row["accuracy"]),
            low=_up(row["accuracy_low"]),
            high=_up(row["accuracy_high"]),
            radius=round(3 + 5 * float(row["n"] / largest) ** 0.5, 1),
            title=_title(row),
        )
        for row in bins
    ]


def _title(row: Mapping[str, Any]) -> str:
    pictures = f"{row['n']} picture{'' if row['n'] == 1 else 's'}"
    return f"{pictures}: {percent(row['confidence'], 0)} sure on average, {percent(row['accuracy'], 0)} right"


def _up(share: float) -> float:
    return round(MARGIN + SIDE * (1 - share), 1)
