"""How a classifier judged each picture it was measured on: `report/predictions.csv` in its bundle."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

_FILE = Path("report") / "predictions.csv"


@dataclass(frozen=True)
class Judged:
    """One judged picture: its class, the class it was taken for, and with what confidence in [0, 1]."""

    sha256: str
    class_slug: str
    predicted_slug: str
    confidence: float


def write_predictions(bundle: Path, rows: Iterable[Judged]) -> None:
    """Write them into a bundle that is being made."""
    with (bundle / _FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Judged)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_predictions(bundle: Path) -> Sequence[Judged]:
    """Those of a bundle; none where it has none or they cannot be read."""
    try:
        with (bundle / _FILE).open(newline="", encoding="utf-8") as file:
            rows: Iterable[dict[str, Any]] = csv.DictReader(file)
            return [Judged(**row | {"confidence": float(row["confidence"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        return []
