"""Archives, where exports are written, and what cannot be exported: it says why and leaves nothing."""

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart.bundle import Bundle, BundleInfo, open_bundle
from tellapart.errors import DataError, MissingError, TellapartError
from tellapart.learned import trained_on
from tellapart.progress import Progress, silent
from tellapart.settings import Settings
from tellapart.store import StoredModel
from tests.training.exporting import stored
from training import export_network
from training.export import export
from training.export_data import check_pictures


def test_the_archive_has_data_set_and_classifier(shapes: StoredModel, trained: Any, tmp_path: Path) -> None:
    made = export(shapes, "zip", tmp_path, trained.dataset, silent)
    assert made.difference == 0
    with zipfile.ZipFile(made.files[0]) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        rows = list(csv.DictReader(io.StringIO(archive.read("dataset/manifest.csv").decode())))
        archive.extractall(tmp_path / "unpacked")
    kept = trained.dataset.manifest.kept()
    assert {f"dataset/images/{a.class_slug}/{a.sha256}.png" for a in kept} <= names
    assert {"README.txt", "dataset/ATTRIBUTION.csv", "model/labels.csv", "model/report/index.html"} <= names
    assert len(rows) == len(kept) == 27
    bundle = open_bundle(tmp_path / "unpacked" / "model")
    assert bundle.info.class_names == shapes.info.class_names


@pytest.mark.usefixtures("few_pictures")
def test_a_changed_data_set_and_lost_pictures_are_told(
    shapes: StoredModel, trained: Any, tmp_path: Path, make_dataset: Callable[..., Any]
) -> None:
    dataset = make_dataset(tmp_path / "shapes")
    dataset.image_path(dataset.manifest.kept()[0]).unlink()
    seen: list[Progress] = []
    export(shapes, "zip", tmp_path / "out", dataset, seen.append)
    notes = [p.note for p in seen if p.stage == "data set"]
    assert notes == [
        "it has changed since this classifier was trained; what is there now was packed",
        "1 of its pictures are gone or changed and are not in the archive",
    ]


def test_a_zip_without_its_data_set_is_refused(pets: StoredModel, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"the data set 'pets' of pets:v1 is not on this machine\. Export"):
        export(pets, "zip", tmp_path / "out", None, silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("few_pictures")
def test_a_file_that_answers_otherwise_is_not_kept(
    pets: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(bundle: Bundle, path: Path) -> None:
        bias = bundle.head.bias + np.array([0.05, 0, 0], np.float32)
        export_network.write_state_dict(replace(bundle, head=replace(bundle.head, bias=bias)), path)

    monkeypatch.setitem(export_network.WRITERS, "pt", other)
    with pytest.raises(TellapartError, match=r"off by \S+, at most 1e-03 is allowed, and nothing was written"):
        export(pets, "pt", tmp_path, None, silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_pictures")
def test_exporting_again_replaces_and_another_classifier_is_refused(
    pets: StoredModel, tmp_path: Path, tiny_bundle: Callable[..., BundleInfo]
) -> None:
    first = export(pets, "pt", tmp_path, None, silent)
    first.files[0].write_bytes(b"damaged")
    again = export(pets, "pt", tmp_path, None, silent)
    assert again.files[0].stat().st_size > 40_000_000
    tiny_bundle(tmp_path / "bundle")
    with pytest.raises(DataError, match=r"labels\.csv is there already and belongs to something else\. Give another"):
        export(stored(tmp_path / "bundle", "other"), "pt", tmp_path, None, silent)
    assert not list(tmp_path.glob("other*"))
    assert not list(tmp_path.glob(".part-*"))


def test_a_place_that_cannot_be_written_is_one_line(pets: StoredModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TellapartError, match=r"cannot write .*file"):
        export(pets, "pt", tmp_path / "file", None, silent)


def test_the_data_set_is_found_by_digest_then_by_name(
    trained: Any, tmp_path: Path, make_dataset: Callable[..., Any]
) -> None:
    settings = Settings(home=tmp_path)
    assert trained_on(trained.info, settings) is None
    other = make_dataset(settings.datasets / "shapes")
    assert trained_on(trained.info, settings) == other
    same = make_dataset(settings.home / "folders" / "abc", ("train",) * 6 + ("test",) * 3)
    assert same.digest() == trained.info.dataset["digest"]
    assert trained_on(trained.info, settings) == same


def test_the_pictures_compared_are_of_every_class_and_always_the_same(
    make_dataset: Callable[..., Any], tmp_path: Path
) -> None:
    dataset = make_dataset(tmp_path / "shapes")
    found = check_pictures(dataset, 7)
    assert found == check_pictures(dataset, 7)
    by_class = {s.path.read_bytes(): s.class_index for s in dataset.samples()}
    assert sorted(by_class[data] for data in found) == [0, 0, 0, 1, 1, 2, 2]
    few = check_pictures(dataset)
    assert len(few) == 32
    assert sum(data in by_class for data in few) == 18
    assert len(set(few)) == 32
