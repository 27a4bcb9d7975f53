"""Finding again what a classifier was trained on: quickly while nothing changed, and never by what was true before."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tellapart.dataset import Dataset
from tellapart.learned import is_unchanged, trained_on
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.settings import Settings


@pytest.fixture
def dataset(tmp_path: Path, make_photo: Callable[..., bytes]) -> Dataset:
    dataset = Dataset.create(tmp_path / "home" / "datasets" / "pets", "pets", parse_class_names(["cat", "dog"]), [])
    add(dataset, "cat", make_photo(0))
    return dataset


def add(dataset: Dataset, slug: str, data: bytes) -> None:
    picture = inspect(data)
    dataset.store(slug, picture, data)
    attempt = Attempt(f"u{picture.sha256}", slug, Status.KEPT, Reason.OK).with_picture(picture)
    dataset.manifest.add([attempt])


def info_of(dataset: Dataset) -> Any:
    """As much of a classifier's description as says what it was trained on."""
    return SimpleNamespace(dataset={"name": dataset.name, "digest": dataset.digest()})


def test_a_data_set_is_read_once_until_it_changes(
    dataset: Dataset, make_photo: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    info, settings = info_of(dataset), Settings(home=dataset.root.parent.parent)
    digest, read = Dataset.digest, []
    monkeypatch.setattr(Dataset, "digest", lambda self: read.append(self.name) or digest(self))
    assert [trained_on(info, settings) for _ in range(5)] == [dataset] * 5
    assert read == ["pets"]
    add(dataset, "dog", make_photo(1))
    assert not is_unchanged(dataset, info)
    assert read == ["pets", "pets"]
    assert is_unchanged(dataset, info_of(dataset))


def test_pictures_of_none_of_the_classes_count_too(dataset: Dataset, make_photo: Callable[..., bytes]) -> None:
    info = info_of(dataset)
    assert is_unchanged(dataset, info)
    (dataset.root / "none").mkdir()
    (dataset.root / "none" / "a.png").write_bytes(make_photo(2))
    assert not is_unchanged(dataset, info)
