"""Pictures of one's own while others put theirs in, decide, or a job works, and where it takes long."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from threading import BoundedSemaphore
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.crashes import Apart
from tellapart.dataset import Dataset
from tellapart.pictures import inspect
from tests.webui.review.helpers import kept
from tests.webui.zipped import archive
from webui import decoding, own_pictures, staging
from webui.jobs import AlreadyThere, Kind

MakePicture = Callable[..., bytes]


def test_a_large_archive_that_takes_long_goes_on_when_it_is_sent_again(
    web: FlaskClient,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slowly(_: Apart, data: bytes) -> Any:
        clock.sleep(20)
        return inspect(data)

    monkeypatch.setattr(Apart, "inspect", slowly)
    monkeypatch.setattr(own_pictures.time, "monotonic", clock)
    sent = ("x.zip", archive({f"{number}.png": make_photo(90 + number) for number in range(5)}))
    assert send(sent).json == {"added": 2, "there": 0, "refused": [], "left": 3}
    page = web.get(send(sent, json=False).location).text
    assert "2 pictures it has or had already. 1 picture left: there was no time for more. Send the same" in page
    assert kept(dataset)["cat"] == 7
    assert send(sent).json == {"added": 1, "there": 4, "refused": [], "left": 0}


def test_what_came_before_is_neither_decoded_again_nor_waits_for_a_turn(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an archive whose first part is known, or cannot be taken, would never be taken to its end."""

    def refuse(*_: Any) -> None:
        raise AssertionError("it took its time")

    members = {"new.png": make_photo(90), "collected.png": make_photo(0), "words.png": b"words"}
    sent = ("x.zip", archive(members))
    first = send(sent).json
    assert [first[key] for key in ("added", "there", "left")] == [1, 1, 0]
    rows = dataset.manifest.attempts()
    monkeypatch.setattr(Apart, "inspect", refuse)
    monkeypatch.setattr(own_pictures, "changing", refuse)
    again = send(sent).json
    assert [again[key] for key in ("added", "there", "left")] == [0, 2, 0]
    assert again["refused"] == first["refused"] == [{"name": "words.png", "message": "the file is not a picture"}]
    assert dataset.manifest.attempts() == rows


def test_only_so_many_uploads_decode_at_once(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def while_another_comes(_: Apart, data: bytes) -> Any:
        answers.append(send(("other.png", make_photo(91))))
        return inspect(data)

    answers: list[Any] = []
    monkeypatch.setattr(decoding, "_places", BoundedSemaphore(1))
    monkeypatch.setattr(decoding, "_WAIT", 0.05)
    monkeypatch.setattr(Apart, "inspect", while_another_comes)
    assert send(("a.png", make_photo(90))).json["added"] == 1
    assert [answer.status_code for answer in answers] == [409]
    error = answers[0].json["error"]
    assert (error["code"], error["message"].split(".")[0]) == ("busy", "Pictures of others are being taken in")
    monkeypatch.setattr(Apart, "inspect", lambda _, data: inspect(data))
    assert send(("other.png", make_photo(91))).json["added"] == 1


def test_others_decide_about_the_data_set_while_a_picture_is_decoded(
    app: Flask,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def while_others_have_their_turn(_: Apart, data: bytes) -> Any:
        with app.extensions["tellapart"].staging.turn(dataset):
            return inspect(data)

    monkeypatch.setattr(Apart, "inspect", while_others_have_their_turn)
    monkeypatch.setattr(staging, "_TURN_SECONDS", 0.2)
    assert send(("a.png", make_photo(90))).json["added"] == 1


def test_what_was_added_is_told_where_others_then_take_too_long(
    app: Flask,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others, number = ExitStack(), count()

    def while_others_take_their_turn(_: Apart, data: bytes) -> Any:
        if next(number) == 1:
            others.enter_context(app.extensions["tellapart"].staging.turn(dataset))
        return inspect(data)

    monkeypatch.setattr(Apart, "inspect", while_others_take_their_turn)
    monkeypatch.setattr(staging, "_TURN_SECONDS", 0.2)
    with others:
        told = send(*((f"{n}.png", make_photo(90 + n)) for n in range(3))).json
    assert (told["added"], told["left"]) == (1, 2)
    assert kept(dataset)["cat"] == 4


def test_a_job_that_begins_meanwhile_stops_what_is_left(
    web: FlaskClient,
    app: Flask,
    dataset: Dataset,
    send: Callable[..., Any],
    make_photo: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes between its stages has no split: a copy of what it measures on could be learned from."""

    def while_a_job_begins(_: Apart, data: bytes) -> Any:
        with suppress(AlreadyThere):
            app.extensions["tellapart"].jobs.enqueue(Kind.TRAIN, "pets", {})
        return inspect(data)

    monkeypatch.setattr(Apart, "inspect", while_a_job_begins)
    page = web.get(send(*((f"{n}.png", make_photo(90 + n)) for n in range(3)), json=False).location).text
    assert "1 picture added to cat. 2 pictures left: a job is working on pets. Wait for it, " in page
    assert kept(dataset)["cat"] == 4


def test_of_two_uploads_of_the_same_picture_at_once_one_adds_it(
    dataset: Dataset, send: Callable[..., Any], make_photo: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_another(_: Apart, data: bytes) -> Any:
        monkeypatch.setattr(Apart, "inspect", lambda _, data: inspect(data))
        assert send(("a.png", data)).json["added"] == 1
        return inspect(data)

    monkeypatch.setattr(Apart, "inspect", after_another)
    assert send(("b.png", make_photo(90))).json["there"] == 1
    assert kept(dataset)["cat"] == 4
