"""A classifier in a real model store, its data set, and a program in the place of the one that exports."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tellapart import store
from tellapart.catalogue import Catalogue
from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.predictions import Judged, write_predictions
from tellapart.settings import Settings

NAMES = ("red", "green (dark)", "O'Hare & blue")
METRICS = {
    "accuracy": 0.93,
    "accuracy_low": 0.88,
    "accuracy_high": 0.96,
    "n": 150,
    "ece": 0.042,
    "protocol": "cross-validation",
    "per_class": {"red": {"recall": 0.875}},
}


@pytest.fixture
def save(isolated_home: Path, tiny_bundle: Callable[..., Any], service: Any) -> Callable[..., str]:
    """Put a version into the store, and give its tag; the stand-in lists what the store has.

    `save(mixed_up=[(sha256, "red", "blue")])` is one that took a picture for another class when it was measured;
    `save(licenses={"CC0": 3})` has that among the facts of its data set.
    """
    catalogue = Catalogue(lambda: 0.0)

    def follow() -> None:
        catalogue._seen = None
        service.models = catalogue.list().models

    def make(mixed_up: Sequence[tuple[str, str, str]] = (), **recorded: dict[str, int]) -> str:
        with store.new_model("colours") as (folder, version):
            facts = {"name": "colours", "pictures": 3, "counts": {"red": 2}} | recorded
            tiny_bundle(folder, NAMES, file=b"weights", metrics=METRICS, dataset=facts, training={"mode": "head"})
            (folder / "report").mkdir()
            (folder / "report" / "index.html").write_text("<p>A report")
            slugs = {c.name: c.slug for c in parse_class_names(NAMES)}
            rows = [Judged(sha256, slugs[name], slugs[taken_for], 0.9) for sha256, name, taken_for in mixed_up]
            write_predictions(folder, rows)
        return store.promote(f"colours:{version}").tag

    service.broken = follow
    return make


@pytest.fixture
def dataset(settings: Settings, make_picture: Callable[..., bytes]) -> Dataset:
    """What the versions were trained on."""
    made = Dataset.create(settings.datasets / "colours", "colours", parse_class_names(NAMES), ["openverse"])
    data = make_picture("red")
    picture = inspect(data)
    made.store("red", picture, data)
    attempt = Attempt("https://x.example/1", "red", Status.KEPT, Reason.OK, source="openverse").with_picture(picture)
    credit = {
        "license": "CC BY <4.0>",
        "author": "=Ann",
        "page_url": "https://x.example/p",
        "attribution": "Red by Ann",
    }
    made.manifest.add([replace(attempt, **credit)])
    return made


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a command line of one's own in the place of the one that exports."""
    (tmp_path / "program").mkdir()
    monkeypatch.setattr("webui.exports._ROOT", tmp_path / "program")

    def write(code: str) -> None:
        (tmp_path / "program" / "cli.py").write_text(
            f"import sys, pathlib, time\nout = pathlib.Path(sys.argv[-1])\n{code}"
        )

    return write
