"""The lists that stand where the addresses of single things begin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.dataset import Dataset
from tellapart.folders import open_folder
from tellapart.names import parse_class_names
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from webui.jobs import Kind


def test_the_front_page_leads_to_the_lists(web: FlaskClient) -> None:
    page = web.get("/").text
    assert 'href="/datasets"' in page
    assert 'href="/jobs"' in page


def test_jobs_are_listed_or_there_are_none_yet(app: Flask, web: FlaskClient) -> None:
    assert "Nothing was asked for yet" in web.get("/jobs").text
    job = app.extensions["tellapart"].jobs.enqueue(Kind.CREATE, "cars", {"classes": ["car", "<b>"]})
    page = web.get("/jobs").text
    assert f"/jobs/{job.id}" in page
    assert "Waiting" in page
    assert "car, &lt;b&gt;" in page


def test_data_sets_are_listed_and_one_that_cannot_be_read_is_left_out(
    web: FlaskClient, settings: Settings, isolated_home: Path
) -> None:
    assert "There is none yet" in web.get("/datasets").text
    for name in ("pets", "broken"):
        Dataset.create(settings.datasets / name, name, parse_class_names(["cat", "dog"]), [])
    (settings.datasets / "broken" / "dataset.json").write_text("{")
    page = web.get("/datasets").text
    assert "/datasets/pets" in page
    assert "cat, dog" in page
    assert "0 pictures" in page
    assert "broken" not in page


def test_a_folder_that_was_only_learned_from_is_listed_by_its_classifier(
    web: FlaskClient,
    settings: Settings,
    isolated_home: Path,
    tmp_path: Path,
    make_photo: Callable[..., bytes],
    tiny_bundle: Callable[..., Any],
) -> None:
    for number in range(4):
        (tmp_path / "my pictures" / ("cat", "dog")[number % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "my pictures" / ("cat", "dog")[number % 2] / f"{number}.png").write_bytes(make_photo(number))
    dataset = open_folder(tmp_path / "my pictures", settings.home)
    assert "There is none yet" in web.get("/datasets").text
    for name in ("pets", "same"):
        with new_model(name) as (folder, version):
            known = {"name": dataset.name, "digest": dataset.digest()}
            tiny_bundle(folder, ("cat", "dog"), file=b"x" * 100, dataset=known)
        promote(f"{name}:{version}")
    page = web.get("/datasets").text
    assert "4 pictures, in the folder my pictures" in page
    assert page.count("/datasets/") == 1, "it is one, whatever learned from it"
    assert web.get("/datasets/pets").status_code == 200
    assert str(tmp_path) not in page
    Dataset.create(settings.datasets / "pets", "pets", parse_class_names(["cat", "dog"]), [])
    assert [name for name in ("pets", "same") if f'href="/datasets/{name}"' in web.get("/datasets").text] == [
        "pets",
        "same",
    ]


def test_each_data_set_is_opened_once_for_the_list(
    web: FlaskClient, settings: Settings, isolated_home: Path, tiny_bundle: Callable[..., Any], monkeypatch: Any
) -> None:
    """However many classifiers there are."""
    for number in range(4):
        Dataset.create(settings.datasets / f"set{number}", f"set{number}", parse_class_names(["cat", "dog"]), [])
        with new_model(f"by{number}") as (folder, version):
            tiny_bundle(folder, ("cat", "dog"), file=b"x" * 100, dataset={"name": f"set{number}", "digest": "other"})
        promote(f"by{number}:{version}")
    opened, real = [], Dataset.open
    monkeypatch.setattr(Dataset, "open", lambda root: opened.append(root.name) or real(root))
    page = web.get("/datasets").text
    assert opened == ["set0", "set1", "set2", "set3"]
    assert all(f'href="/datasets/{name}"' in page for name in opened)


@pytest.mark.parametrize(
    ("damaged", "path"),
    [
        *(("dataset.json", path) for path in ("", "/audit", "/audit/cat", "/stage", "/apply", "/undo", "/train")),
        *(("manifest.sqlite", path) for path in ("", "/audit", "/apply", "/undo")),
    ],
)
def test_a_data_set_that_cannot_be_read_is_a_clear_answer_without_its_place(
    web: FlaskClient, settings: Settings, isolated_home: Path, damaged: str, path: str
) -> None:
    dataset = Dataset.create(settings.datasets / "broken", "broken", parse_class_names(["cat", "dog"]), [])
    dataset.manifest.attempts()
    for file in dataset.root.glob(f"{damaged}*"):
        file.write_bytes(b"{ no data set" * 999)
    answer: Any = (web.get if path in ("", "/audit") else web.post)(f"/datasets/broken{path}")
    assert answer.status_code == 409
    assert "That cannot be read" in answer.text
    assert str(settings.home) not in answer.text


def test_classifiers_are_on_the_front_page(web: FlaskClient) -> None:
    answer: Any = web.get("/classifiers")
    assert (answer.status_code, answer.location) == (302, "/#classifiers")
    assert 'id="classifiers"' in web.get("/").text
