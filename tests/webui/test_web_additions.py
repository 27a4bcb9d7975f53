"""A picture whose answer was wrong joins the data set in the class a person said is right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.dataset import Dataset
from tellapart.names import parse_class_names
from tellapart.settings import Settings
from webui.jobs import Kind

MakePicture = Callable[..., bytes]


@pytest.fixture
def dataset(settings: Settings, isolated_home: Path) -> Dataset:
    return Dataset.create(settings.datasets / "colours", "colours", parse_class_names(["red", "green"]), [])


@pytest.fixture
def told(web: FlaskClient, upload: Any, make_picture: MakePicture) -> Callable[..., str]:
    """Upload a red picture and say what it is; gives the record's id."""

    def tell(right_class: str = "green", keep: bool = True) -> str:
        path = upload((make_picture("red"), "a.png")).location
        form = {"right": "no", "class": right_class} | ({"keep": "yes"} if keep else {})
        assert web.post(f"{path}/feedback", data=form).status_code == 303
        return str(path.rsplit("/", 1)[-1])

    return tell


def test_a_picture_told_wrong_is_added_once(web: FlaskClient, dataset: Dataset, told: Callable[..., str]) -> None:
    record = told()
    web.post("/datasets/colours/additions", data={"record": record})
    assert "Added to green" in web.get("/classifiers/colours/wrong").text
    (kept,) = dataset.manifest.kept()
    assert (kept.class_slug, kept.source) == ("green", "feedback")
    assert dataset.image_path(kept).is_file()
    web.post("/datasets/colours/additions", data={"record": record})
    assert "it is there already" in web.get("/classifiers/colours/wrong").text
    assert len(dataset.manifest.kept()) == 1


def test_a_picture_that_crashes_its_decoder_is_refused(
    web: FlaskClient, dataset: Dataset, told: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = told()
    (tmp_path / "sitecustomize.py").write_text("import signal\nsignal.raise_signal(signal.SIGSEGV)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    web.post("/datasets/colours/additions", data={"record": record})
    assert "decoding the picture ends the program (SIGSEGV)" in web.get("/classifiers/colours/wrong").text
    assert dataset.manifest.kept() == []


@pytest.mark.parametrize(
    ("saying", "problem"),
    [
        ({"keep": False}, "it is not here"),
        ({"right_class": "blue"}, "no class for it"),
    ],
)
def test_a_picture_that_cannot_be_added(
    web: FlaskClient, dataset: Dataset, told: Callable[..., str], saying: Any, problem: str
) -> None:
    web.post("/datasets/colours/additions", data={"record": told(**saying)})
    assert problem in web.get("/classifiers/colours/wrong").text
    assert dataset.manifest.kept() == []


def test_an_answer_of_another_classifier_is_not_added(
    web: FlaskClient, dataset: Dataset, settings: Settings, told: Callable[..., str]
) -> None:
    others = Dataset.create(settings.datasets / "others", "others", parse_class_names(["red", "green"]), [])
    web.post("/datasets/others/additions", data={"record": told()})
    web.post("/datasets/others/additions", data={"record": "no-such-record"})
    assert others.manifest.kept() == []


def test_nothing_is_added_between_the_stages_of_a_job(
    web: FlaskClient, app: Flask, dataset: Dataset, told: Callable[..., str]
) -> None:
    app.extensions["tellapart"].jobs.enqueue(Kind.TRAIN, "colours", {})
    web.post("/datasets/colours/additions", data={"record": told()})
    assert "a job is working on colours" in web.get("/classifiers/colours/wrong").text
    assert dataset.manifest.kept() == []
