"""Deleting a data set: asked first, refused while it is used, and nothing else goes with it."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.crashes import Apart
from tellapart.dataset import Dataset
from tellapart.names import parse_class_names
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from tests.webui.review.helpers import keys
from webui import removal, review_changes
from webui.datasets import deleted_folder
from webui.jobs import Kind
from webui.leftovers import sweep

JSON = {"Accept": "application/json"}
GONE = "The pictures it learned from are gone from this machine"


def test_it_is_asked_first_and_then_gone_with_what_waited_to_be_decided(
    web: FlaskClient, app: Flask, dataset: Dataset, stage: Callable[..., Any], settings: Settings
) -> None:
    other = Dataset.create(settings.datasets / "cars", "cars", parse_class_names(["car", "bus"]), [])
    stage("remove", keys(dataset, 0))
    assert 'href="/datasets/pets/delete"' in web.get("/datasets/pets").text
    page = web.get("/datasets/pets/delete").text
    assert "Delete the pictures of pets?" in page
    assert "6 pictures and all that was decided about them" in page
    assert dataset.root.exists()
    assert web.post("/datasets/pets/delete").location == "/datasets"
    listed = web.get("/datasets").text
    assert "The data set pets is deleted." in listed
    assert 'href="/datasets/pets"' not in listed
    assert web.get("/datasets/pets").status_code == 404
    assert not dataset.root.exists()
    assert list(deleted_folder(settings).iterdir()) == []
    assert app.extensions["tellapart"].staging.staged(dataset) == []
    assert other.root.exists()
    assert web.post("/datasets/pets/delete").status_code == 404


def test_classifiers_stay_and_say_that_their_pictures_are_gone(
    web: FlaskClient, dataset: Dataset, service: Any, tiny_bundle: Callable[..., Any]
) -> None:
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, ("cat", "dog"), file=b"x", dataset={"name": "pets", "digest": dataset.digest()})
    promote(f"pets:{version}")
    names = {"name": "pets", "version": version, "model": f"pets:{version}"}
    service.models = [service.models[0].model_copy(update=names)]
    page = web.get("/classifiers/pets").text
    assert GONE not in page
    assert 'href="/datasets/pets"' in page
    web.post("/datasets/pets/delete")
    page = web.get("/classifiers/pets").text
    assert GONE in page
    assert 'href="/datasets/pets"' not in page
    assert "licences and sources cannot be listed" in web.get("/classifiers/pets/card").text


@pytest.mark.parametrize(("name", "owner"), [("pets", None), ("animals", "somebody")])
def test_it_stays_while_a_job_uses_it(
    web: FlaskClient, app: Flask, dataset: Dataset, name: str, owner: str | None
) -> None:
    jobs = app.extensions["tellapart"].jobs
    job = jobs.enqueue(Kind.TRAIN, name, {"dataset": str(dataset.root)}, owner=owner)
    assert "they can be deleted once it has ended" in web.get("/datasets/pets/delete").text
    answer: Any = web.post("/datasets/pets/delete", headers=JSON)
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "refused")
    assert "a job is working on pets" in answer.json["error"]["message"].lower()
    assert len(dataset.manifest.kept()) == 6
    jobs.stop(job.id)
    assert web.post("/datasets/pets/delete").status_code == 303


def test_no_job_begins_while_it_goes(
    web: FlaskClient, app: Flask, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is asked for between the look for jobs and the deletion waits, and finds nothing."""
    jobs, there = app.extensions["tellapart"].jobs, []
    asking = threading.Thread(
        target=lambda: (jobs.enqueue(Kind.TRAIN, "pets", {}), there.append(dataset.root.exists()))
    )
    look = removal.refuse_at_work

    def looked(name: str, found: Dataset) -> None:
        look(name, found)
        asking.start()
        asking.join(0.5)

    monkeypatch.setattr(removal, "refuse_at_work", looked)
    assert web.post("/datasets/pets/delete").status_code == 303
    asking.join(60)
    assert there == [False]


def test_what_a_killed_page_left_of_one_is_swept_away(app: Flask, settings: Settings) -> None:
    left = deleted_folder(settings) / "left"
    (left / "images").mkdir(parents=True)
    (left / "dataset.json").write_text("{}")
    sweep(app.extensions["tellapart"].database, settings)
    assert not left.exists()


def test_one_that_is_only_linked_is_nobodys_to_delete(
    web: FlaskClient, settings: Settings, isolated_home: Path
) -> None:
    elsewhere = Dataset.create(isolated_home / "elsewhere", "pets", parse_class_names(["cat", "dog"]), [])
    settings.datasets.mkdir(parents=True)
    (settings.datasets / "pets").symlink_to(elsewhere.root)
    assert "Delete all" not in web.get("/datasets/pets").text
    assert web.post("/datasets/pets/delete").status_code == 404
    assert (elsewhere.root / "dataset.json").exists()


def test_deleting_twice_takes_no_other_one_of_the_same_name_along(
    web: FlaskClient, dataset: Dataset, settings: Settings, tiny_bundle: Callable[..., Any]
) -> None:
    """A copy of the folder has the name inside; the classifier's page finds it once the first one is gone."""
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, ("cat", "dog"), file=b"x", dataset={"name": "pets", "digest": dataset.digest()})
    promote(f"pets:{version}")
    copy = settings.datasets / "pets-before"
    shutil.copytree(dataset.root, copy)
    assert [web.post("/datasets/pets/delete").status_code for _ in range(2)] == [303, 404]
    assert len(Dataset.open(copy).manifest.kept()) == 6
    assert 'href="/datasets/pets-before/delete"' in web.get("/datasets/pets").text
    assert web.post("/datasets/pets-before/delete").status_code == 303


def test_of_two_who_delete_it_at_once_the_second_finds_nothing(
    web: FlaskClient, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(*asked: Any) -> None:
        delete(*asked)
        delete(*asked)

    delete = removal._delete
    monkeypatch.setattr(removal, "_delete", both)
    assert web.post("/datasets/pets/delete").status_code == 404
    assert not dataset.root.exists()


@pytest.mark.parametrize("action", ["apply", "undo"])
def test_decisions_about_one_that_was_deleted_meanwhile_find_nothing(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any], action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage("remove", keys(dataset, 0))
    monkeypatch.setattr(review_changes, "job_on", lambda *_: web.post("/datasets/pets/delete") and None)
    assert web.post(f"/datasets/pets/{action}").status_code == 404
    assert not dataset.root.exists()


def test_a_small_copy_that_is_being_made_does_not_bring_it_back(
    web: FlaskClient, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted_meanwhile(apart: Apart, data: bytes, side: int) -> bytes:
        web.post("/datasets/pets/delete")
        return small(apart, data, side)

    small = Apart.preview
    monkeypatch.setattr(Apart, "preview", deleted_meanwhile)
    slug, sha256 = keys(dataset, 0)[0].split("/")
    assert web.get(f"/datasets/pets/thumbnails/{slug}/{sha256}.jpg").status_code == 404
    assert not dataset.root.exists()
