"""Data sets to curate, with pictures written by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from curation.duplicates import Pair
from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect


@pytest.fixture
def pair() -> Callable[[int, int], Pair]:
    return lambda first, second: Pair(first, second, same=False)


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Dataset]:
    """`make_dataset([("cat", bytes), ("dog", bytes, "test")])`: kept pictures with URLs u/0, u/1, ..."""

    def make(pictures: list[tuple], classes: tuple[str, ...] = ("cat", "dog"), name: str = "pets") -> Dataset:  # type: ignore[type-arg]
        dataset = Dataset.create(tmp_path / name, name, parse_class_names(classes), ["urls"])
        add_pictures(dataset, pictures)
        return dataset

    return make


@pytest.fixture
def add() -> Callable[..., None]:
    return add_pictures


@pytest.fixture
def died_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Dataset, str], Path]:
    """`died_over(dataset, sha256)`: a process died over that picture, and the next that tries it out dies too."""

    def leave_mark(dataset: Dataset, digest: str) -> Path:
        (tmp_path / "sitecustomize.py").write_text("import signal\nsignal.raise_signal(signal.SIGSEGV)")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        marks = dataset.cache / "decoding"
        marks.mkdir(parents=True, exist_ok=True)
        (marks / digest).touch()
        return marks

    return leave_mark


def add_pictures(dataset: Dataset, pictures: list[tuple], start: int = 0) -> None:  # type: ignore[type-arg]
    rows = []
    for i, (slug, data, *given) in enumerate(pictures, start):
        picture = inspect(data)
        dataset.store(slug, picture, data)
        attempt = Attempt(f"u/{i}", slug, Status.KEPT, Reason.OK, given_split=given[0] if given else "")
        rows.append(attempt.with_picture(picture))
    dataset.manifest.add(rows)
