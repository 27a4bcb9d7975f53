"""What a result rests on, and what people say about it."""

import csv
import io
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient
from PIL import Image

from tellapart.wire import NeighbourPicture

MakePicture = Callable[..., bytes]


@pytest.fixture
def result(upload: Any, make_picture: MakePicture) -> str:
    """The path of a result."""
    path: str = upload((make_picture("red"), "a.png"), top_k="2").location
    return path


def test_the_heat_map_is_asked_for_once(web: FlaskClient, service: Any, result: str) -> None:
    words = web.get(f"{result}/explanation").text
    assert "It looked at the middle, and found red there." in words
    assert f"{result}/heat-map.png" in words  # it is a page of its own where scripts are off
    heat = web.get(f"{result}/heat-map.png")
    assert heat.mimetype == "image/png"
    assert Image.open(io.BytesIO(heat.data)).size == (8, 6)
    assert service.asked("/explain") == 1
    assert "found green there" in web.get(f"{result}/explanation?class=green").text
    assert web.get(f"{result}/explanation?class=blue").status_code == 404  # not among the two that were named
    assert web.get(f"{result}/heat-map.png?class=%3Cb%3E").status_code == 404


def test_what_the_kept_copy_would_be_taken_for_is_not_said_against_the_answer(
    web: FlaskClient, service: Any, result: str
) -> None:
    answer = {
        "model": "colours:v1",
        "class": "red",
        "confidence": 0.3,
        "sentence": "The answer is green",
        "heat_map": "",
    }
    service.broken = lambda: jsonify(answer)
    words = web.get(f"{result}/explanation").text
    assert "The answer is green" not in words
    assert "not as sure as for the picture as it came" in words


def test_an_explanation_that_fails_is_not_kept(web: FlaskClient, service: Any, result: str) -> None:
    service.refuse_pictures(503)
    assert web.get(f"{result}/explanation").status_code == 503
    assert web.get(f"{result}/nearest").status_code == 503
    service.broken = None
    assert web.get(f"{result}/explanation").status_code == 200


def test_a_heat_map_that_is_none_is_no_500(web: FlaskClient, service: Any, result: str) -> None:
    answer = {"model": "colours:v1", "class": "red", "confidence": 1.0, "sentence": "x", "heat_map": "no base64!"}
    service.broken = lambda: answer
    assert web.get(f"{result}/heat-map.png").status_code == 503


def test_nearest_pictures_that_are_not_here_are_named_all_the_same(
    web: FlaskClient, service: Any, result: str, isolated_home: Path
) -> None:
    service.neighbours = [NeighbourPicture(sha256="0" * 64, class_name="<b>red", similarity=0.91)]
    piece = web.get(f"{result}/nearest").text
    assert "&lt;b&gt;red" in piece
    assert "91 % alike" in piece
    assert "not on this machine" in piece
    assert web.get(f"{result}/nearest").text == piece
    assert service.asked("/nearest") == 1


def test_a_version_without_neighbours_says_so(web: FlaskClient, result: str) -> None:
    assert "this version keeps no pictures to compare with" in web.get(f"{result}/nearest").text


def test_a_right_answer_is_written_down(app: Flask, web: FlaskClient, result: str) -> None:
    answer = web.post(f"{result}/feedback", data={"right": "yes", "class": "green", "keep": "yes"})
    assert answer.location == f"{result}#feedback"
    assert "You said that this is right." in web.get(result).text
    assert told(app) == []


def test_a_wrong_answer_flows_on_with_the_picture_only_if_that_was_agreed(
    app: Flask, web: FlaskClient, result: str, settings: Any
) -> None:
    folder = settings.home / "web" / "feedback"
    web.post(f"{result}/feedback", data={"right": "no", "class": "green"})
    assert "it shows <strong>green</strong>" in web.get(result).text
    assert not folder.exists()
    assert [said.picture_name for said in told(app)] == [""]  # what a file is called is the person's too
    web.post(f"{result}/feedback", data={"right": "no", "class": "blue", "keep": "yes"})
    (said,) = told(app)
    assert (said.said, said.right_class, said.classifier, said.version, said.kept) == (
        "red", "blue", "colours", "v1", True,
    )  # fmt: skip
    page = web.get("/classifiers/colours/wrong").text
    assert "<strong>blue</strong>" in page
    with web.get(f"/classifiers/colours/wrong/{said.sha256}.jpg") as picture:
        assert Image.open(io.BytesIO(picture.data)).size == (64, 64)
    web.post(f"{result}/feedback", data={"right": "no", "class": ""})  # and then they thought better of it
    assert list(folder.iterdir()) == []
    assert web.get(f"/classifiers/colours/wrong/{said.sha256}.jpg").status_code == 404
    assert told(app)[0].right_class == ""


def told(app: Flask) -> Any:
    return app.extensions["tellapart"].feedback.wrong("colours")


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 422), ({"right": "maybe"}, 422), ({"right": "no", "class": "cats"}, 422), ({"right": "no"}, 303)],
)
def test_feedback_is_about_the_classes_there_are(
    web: FlaskClient, result: str, fields: dict[str, str], status: int
) -> None:
    assert web.post(f"{result}/feedback", data=fields).status_code == status


def test_what_is_no_single_result_has_no_explanation(web: FlaskClient, upload: Any, make_picture: MakePicture) -> None:
    several = upload((make_picture("red"), "a.png"), (make_picture("blue"), "b.png")).location
    for path in (several, "/results/abcdefghijklmnop"):
        for piece in ("explanation", "heat-map.png", "nearest"):
            assert web.get(f"{path}/{piece}").status_code == 404
        assert web.post(f"{path}/feedback", data={"right": "yes"}).status_code == 404
        assert web.post(f"{path}/shares", data={"days": "1"}).status_code == 404


def test_the_table_has_no_formulas(web: FlaskClient, upload: Any, make_picture: MakePicture, service: Any) -> None:
    nasty = ["=1+1", "@x", "-a"]
    service.models = [service.models[0].model_copy(update={"classes": nasty})]
    path = upload((make_picture("red"), "=cmd|'calc'!A0.png")).location
    (row,) = csv.DictReader(io.StringIO(web.get(f"{path}/csv").text))
    assert row["answer"] == "'=1+1"
    assert row["picture"].startswith("'=cmd")
    assert row["class_2"] in ("'@x", "'-a")
    assert float(row["confidence_1"]) > 0.9


@pytest.mark.parametrize(
    "nasty", ["<script>alert(1)</script>", "'\"><b onload=x>", "{{7*7}}", "${7*7}", "</textarea><b>", "&lt;b&gt;"]
)
def test_nasty_names_are_only_text_on_every_page(
    web: FlaskClient, upload: Any, make_picture: MakePicture, service: Any, nasty: str
) -> None:
    service.models = [service.models[0].model_copy(update={"classes": [nasty, "b"]})]
    service.neighbours = [NeighbourPicture(sha256="0" * 64, class_name=nasty, similarity=0.5)]
    result = upload((make_picture("red"), nasty.replace("/", "") + ".png")).location
    web.post(f"{result}/feedback", data={"right": "no", "class": nasty, "keep": "yes"})
    shared = re.search(r"/shared/[\w-]+", web.post(f"{result}/shares", data={"days": "1"}).text)
    assert shared
    paths = [result, f"{result}/explanation", f"{result}/nearest", shared[0], "/classifiers/colours/wrong"]
    for page in (web.get(path).text for path in paths):
        assert nasty in unescape(page)
        assert "<script>alert" not in page
        assert "<b" not in page.replace("<body", "").replace("<br>", "").replace("<button", "")
        assert ">49<" not in page
