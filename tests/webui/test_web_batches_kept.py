"""How long batches of pictures are kept, and what makes room for what."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from tellapart.images import sha256
from tests.webui.zipped import archive
from webui.answers import Question
from webui.batches import Batch, Batches
from webui.cache import KEEP_SECONDS
from webui.previews import Previews

MakePicture = Callable[..., bytes]


def test_old_batches_go(app: Flask, upload: Any, web: FlaskClient, pictures: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("webui.batches.MAX_BATCHES", 2)
    where = [upload((archive(pictures(1)), "x.zip")).location for _ in range(4)]
    assert [web.get(w).status_code for w in where[-2:]] == [200, 200]
    assert 404 in [web.get(w).status_code for w in where[:2]]


def test_nobody_pushes_out_the_batches_of_others(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.batches.MAX_BATCHES", 2)
    batches, question = app.extensions["tellapart"].batches, Question("colours:v1", 5)
    kept = batches.start("bob's", question, 1, owner="bob")
    for number in range(4):
        age(batches, batches.start("ann's", question, 1, owner="ann"), -number)
    own = [b for p in batches._folder.iterdir() if (b := batches.find(p.name)).owner == "ann"]
    assert len(own) == 2
    assert batches.find(kept.id) == kept


def age(batches: Batches, batch: Batch, seconds: float) -> None:
    """Let a batch have begun so long ago."""
    os.utime(batches._described(batch.id), (time.time() - seconds,) * 2)


def test_archives_make_room_by_their_bytes(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.batches.MAX_ARCHIVE_BYTES", 250)
    batches, made = app.extensions["tellapart"].batches, []
    for number in range(4):
        (tmp_path / "x.zip").write_bytes(bytes(100))
        made.append(batches.start("x.zip", Question("colours:v1", 5), 1, tmp_path / "x.zip", "ann"))
        age(batches, made[-1], 10 - number)
    assert [batches.find(b.id) is not None for b in made] == [False, True, True, True]


def test_an_archive_goes_with_the_last_answer(
    upload: Any, web: FlaskClient, app: Flask, service: Any, pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = upload((archive(pictures(40)), "x.zip")).location
    batches = app.extensions["tellapart"].batches
    kept = batches.archive(batches.find(where.split("/")[-1]))
    web.get(f"{where}?start=32")
    assert kept.is_file()
    web.get(where)
    assert not kept.exists()
    assert "Pictures 33 to 40 of 40." in web.get(f"{where}?start=32").text
    assert len(web.get(f"{where}/json").json["entries"]) == 40
    look, asked = batches.part, []
    monkeypatch.setattr(batches, "part", lambda *about: look(*about) if asked else asked.append(1))
    assert len(web.get(f"{where}/part").json["results"]) == 32, "another request was a moment earlier"
    assert service.pictures == 40


def test_an_archive_whose_answer_is_lost_is_not_there(
    upload: Any, web: FlaskClient, app: Flask, settings: Any, pictures: Any
) -> None:
    where = upload((archive(pictures(1)), "x.zip")).location
    web.get(where)
    for part in (settings.home / "web" / "batches").glob("*/part-*"):
        part.write_text("[")
    assert web.get(where).status_code == 404


def test_a_batch_is_there_for_a_week(web: FlaskClient, app: Flask, send: Any, make_picture: MakePicture) -> None:
    where, batches = web.post("/batches", data={"total": "2"}).json["batch"], app.extensions["tellapart"].batches
    batch = batches.find(where.split("/")[-1])
    age(batches, batch, KEEP_SECONDS - 60)
    assert send(where, 0, (make_picture(), "a.png")).status_code == 200
    age(batches, batch, KEEP_SECONDS + 60)
    assert web.get(where).status_code == 404
    assert send(where, 1, (make_picture(), "a.png")).status_code == 404


def test_a_batch_that_another_process_takes_away_disturbs_no_sweep(web: FlaskClient, settings: Any) -> None:
    folder = settings.home / "web" / "batches"
    folder.mkdir(parents=True)
    (folder / "gone").symlink_to(folder / "nowhere")  # listed, and not there when it is looked at
    assert web.post("/batches", data={"total": "1"}).status_code == 200


def test_a_copy_that_another_request_has_just_made_is_found(
    tmp_path: Path, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, data = Previews(tmp_path), Previews(tmp_path), make_picture()
    digest = sha256(data)
    one.save_later(digest, data)
    looked = other._waiting.find
    monkeypatch.setattr(other._waiting, "find", lambda key: one.find(key) and looked(key))
    assert other.find(digest) == one.find(digest) is not None


def test_pictures_wait_until_somebody_looks(web: FlaskClient, send: Any, to_bytes: MakePicture, settings: Any) -> None:
    exif = Image.Exif()
    exif[0x010E] = "my address"
    batch = web.post("/batches", data={"total": "1"}).json["batch"]
    data = to_bytes(Image.new("RGB", (90, 60), "red"), "JPEG", exif=exif)
    (result,) = send(batch, 0, (data, "a.jpg")).json["results"]
    waiting = settings.home / "web" / "pictures" / "waiting"
    assert len(list(waiting.iterdir())) == 1
    assert result["picture"] in web.get(batch).text
    assert len(list(waiting.iterdir())) == 1  # the list made no copy
    with web.get(result["picture"]) as shown:
        assert b"my address" not in shown.data
        assert Image.open(io.BytesIO(shown.data)).size == (90, 60)
    assert list(waiting.iterdir()) == []
