"""What is promised to be gone is gone: by time, whoever looks and whoever does not."""

import io
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select

from tellapart.settings import Settings
from webui import database as databases
from webui import leftovers
from webui.database import Database
from webui.job_command import sample_folder
from webui.jobs import Job, Jobs, Kind, State, utc_now
from webui.shares import Share
from webui.worker import Worker

DAY = 24 * 3600
FOLDERS = ("results", "pictures", "batches", "shares", "cache", "uploads", "feedback")


def kept(settings: Settings) -> set[str]:
    """The files there are, by their folders."""
    web = settings.home / "web"
    return {f"{folder}/{path.name}" for folder in FOLDERS for path in (web / folder).rglob("*") if path.is_file()}


def later(settings: Settings, seconds: float) -> None:
    """Let all files be so much older."""
    for path in (settings.home / "web").rglob("*"):
        os.utime(path, (path.stat().st_mtime - seconds,) * 2)


@pytest.fixture
def telling(to_bytes: Callable[..., bytes]) -> Callable[[str], bytes]:
    """A picture with the camera's data."""
    exif = Image.Exif()
    exif[0x010E] = "my address"
    return lambda colour: to_bytes(Image.new("RGB", (90, 60), colour), "JPEG", exif=exif)


@pytest.fixture
def everything(app: Flask, web: FlaskClient, upload: Any, telling: Callable[[str], bytes], settings: Settings) -> str:
    """A result with a link, a folder and an archive nobody looked at, what killed processes left; the result's path."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.jpg", telling("green"))
    result: str = upload((telling("red"), "a.jpg")).location
    web.post(f"{result}/shares", data={"days": "1"})
    batch = web.post("/batches", data={"total": "1"}).json["batch"]
    web.post(batch, data={"start": "0", "images": [(io.BytesIO(telling("blue")), "b.jpg")]})
    upload((archive.getvalue(), "x.zip"))
    for left in ("uploads/x/upload", "pictures/waiting/.part-x", "results/.part-y", "shares/" + "0" * 64 + ".jpg"):
        path = settings.home / "web" / left
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(telling("red"))
    return result


def test_what_is_kept_for_a_day_or_a_week_goes(app: Flask, everything: str, settings: Settings) -> None:
    database = app.extensions["tellapart"].database
    before = kept(settings)
    leftovers.sweep(database, settings)
    assert kept(settings) == before
    assert len([name for name in before if name.endswith((".upload", ".zip", "upload"))]) == 3
    later(settings, DAY + 60)
    leftovers.sweep(database, settings)
    day = kept(settings)
    assert not {name for name in day if name.endswith((".upload", "/upload")) or ".part-" in name}
    assert {name.partition("/")[0] for name in day} == {"results", "pictures", "batches", "shares", "cache"}
    with database.writing() as session:
        session.scalars(select(Share)).one().expires = utc_now() - timedelta(seconds=1)
    later(settings, 6 * DAY)
    leftovers.sweep(database, settings)
    assert kept(settings) == set()
    with database.reading() as session:
        assert session.scalar(select(Share)) is None


def test_how_long_what_came_is_kept_is_said_before_it_is_sent(web: FlaskClient) -> None:
    words = "as they came, with the camera’s data, for a day at most; an archive until all of it is answered"
    form, footer = web.get("/classify").text.split("<footer", 1)
    assert words in form
    assert words in footer
    assert "up to 20 MB each; or a zip archive of pictures, up to 100 MB." in form


def test_nobody_pushes_out_the_results_of_others(
    app: Flask, monkeypatch: pytest.MonkeyPatch, upload: Any, telling: Callable[[str], bytes]
) -> None:
    monkeypatch.setattr("webui.records.MAX_RECORDS", 2)
    records = app.extensions["tellapart"].records
    location = upload((telling("red"), "a.jpg")).location.split("/")[-1]
    record = records.find(location, None)
    bobs = records.save(record.model_copy(update={"owner": "bob"}), "B" * 16)
    anns = [records.save(record.model_copy(update={"owner": "ann"}), str(n) * 16) for n in range(4)]
    assert records.find(bobs, "bob").owner == "bob"
    assert records.find(bobs, "ann") is None
    assert records.find(location, "ann") == record
    assert sum(records.find(each, "ann") is not None for each in anns) <= 3


def test_others_write_while_folders_are_deleted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_BUSY_SECONDS", 0.1)
    ours, other = Database(settings), Database(settings)
    jobs = Jobs(other, lambda: None)
    old = jobs.enqueue(Kind.SAMPLE, "", {})
    with other.writing() as session:
        row = session.get_one(Job, old.id)
        row.created, row.state = utc_now() - leftovers.KEEP * 2, State.DONE
    sample_folder(old, settings).mkdir(parents=True)
    delete, made = shutil.rmtree, []

    def slowly(path: Path, **options: Any) -> None:
        made.append(jobs.enqueue(Kind.SAMPLE, "", {}))
        delete(path, **options)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    leftovers.sweep(ours, settings)
    assert len(made) == 1
    assert not sample_folder(old, settings).exists()
    for database in (ours, other):
        database.close()


def test_a_sample_whose_row_went_before_its_folder_is_found_again(settings: Settings) -> None:
    database, folder = Database(settings), settings.home / "web" / "samples" / "gone"
    folder.mkdir(parents=True)
    os.utime(folder, (time.time() - 2 * DAY,) * 2)
    leftovers.sweep(database, settings)
    assert not folder.exists()
    database.close()


def test_a_worker_says_that_it_is_there_whatever_is_swept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "sweep", lambda *_: pytest.fail("it would take minutes"))
    worker = Worker(settings)
    worker.look()
    job = Jobs(database := Database(settings), lambda: None).enqueue(Kind.CREATE, "pets", {})
    assert not Jobs(database, lambda: None).lack_worker([job])
    database.close()
