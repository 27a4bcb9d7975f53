"""Links to a result: who has one sees that result and nothing else, until it expires or is taken back."""

import io
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select

from webui.shares import Share

MakePicture = Callable[..., bytes]


@pytest.fixture
def result(upload: Any, make_picture: MakePicture) -> str:
    """The path of a result."""
    path: str = upload((make_picture("red"), "my <b>cat.png")).location
    return path


@pytest.fixture
def share(web: FlaskClient, result: str) -> Callable[..., str]:
    """Make a link, and give its path."""

    def make(days: str = "7") -> str:
        page = web.post(f"{result}/shares", data={"days": days})
        assert page.status_code == 201
        return re.search(r'value="http://localhost(/shared/[\w-]+)"', page.text)[1]  # type: ignore[index]

    return make


def test_a_link_shows_the_result_alone(web: FlaskClient, share: Callable[..., str], app: Flask) -> None:
    path = share()
    assert len(path.removeprefix("/shared/")) == 43  # 256 bits
    stranger = app.test_client()
    page = stranger.get(path)
    assert "<h1>red</h1>" in page.text
    assert "99.2\xa0%" in page.text
    assert "my &lt;b&gt;cat.png" in page.text
    assert "<nav" not in page.text
    assert not re.findall(r'href="/(?!static)', page.text)
    assert '<meta name="robots" content="noindex' in page.text
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert page.headers["Cache-Control"] == "no-store"
    with stranger.get(f"{path}/picture.jpg") as picture:
        assert picture.mimetype == "image/jpeg"
        assert "noindex" in picture.headers["X-Robots-Tag"]


def test_the_token_is_kept_nowhere(app: Flask, share: Callable[..., str], settings: Any) -> None:
    token = share().removeprefix("/shared/").encode()
    kept = [path for path in settings.home.rglob("*") if path.is_file() and token in path.read_bytes()]
    assert kept == []
    with app.extensions["tellapart"].database.reading() as session:
        assert len(session.scalar(select(Share.digest))) == 64


def test_the_picture_is_free_of_the_cameras_data(
    app: Flask, web: FlaskClient, upload: Any, to_bytes: MakePicture
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "my address"
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    data = to_bytes(Image.new("RGB", (90, 60), "red"), "JPEG", exif=exif, comment=b"secret note")
    page = web.post(upload((data, "a.jpg")).location + "/shares", data={"days": "1"}).text
    path = re.search(r"/shared/[\w-]+", page)[0]  # type: ignore[index]
    with web.get(f"{path}/picture.jpg") as answer:
        made = answer.data
    assert not Image.open(io.BytesIO(made)).getexif()
    assert b"my address" not in made
    assert b"secret" not in made


def test_a_link_outlives_its_result_and_not_its_days(
    app: Flask, web: FlaskClient, result: str, share: Callable[..., str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    path = share("1")
    for kept in (settings.home / "web" / "results", settings.home / "web" / "pictures"):
        for file in kept.iterdir():
            file.unlink()
    assert web.get(result).status_code == 404
    assert web.get(path).status_code == 200
    later = datetime.now(UTC) + timedelta(days=1, seconds=1)
    monkeypatch.setattr(app.extensions["tellapart"].shares, "_clock", lambda: later)
    assert web.get(path).status_code == 404
    assert web.get(f"{path}/picture.jpg").status_code == 404


def test_a_link_that_was_taken_back_is_gone_with_its_picture(
    web: FlaskClient, result: str, share: Callable[..., str], settings: Any
) -> None:
    path, other = share(), share()
    page = web.get(result).text
    assert path not in page
    form = re.findall(r'action="(/results/[\w-]+/shares/\d+/revoke)"', page)
    assert len(form) == 2
    assert web.post(form[1]).location.startswith(result)  # the older one
    assert web.get(path).status_code == 404
    assert web.get(other).status_code == 200
    assert len(pictures(settings.home)) == 1
    assert web.post(form[1]).status_code == 404


def test_the_next_link_sweeps_expired_ones_away(
    app: Flask, share: Callable[..., str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    share("1")
    later = datetime.now(UTC) + timedelta(days=2)
    monkeypatch.setattr(app.extensions["tellapart"].shares, "_clock", lambda: later)
    share("1")
    assert len(pictures(settings.home)) == 1


def test_a_result_has_so_many_links_at_most(
    web: FlaskClient, result: str, share: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.shares.MOST_OPEN", 2)
    share(), share()
    refused = web.post(f"{result}/shares", data={"days": "1"})
    assert refused.status_code == 409
    assert "Take one of them back first" in refused.text


def test_a_link_can_be_taken_back_as_long_as_it_opens(
    web: FlaskClient, result: str, share: Callable[..., str], settings: Any
) -> None:
    week, month = share("7"), share("30")
    later(settings.home / "web" / "results", days=29)
    page = web.get(result)
    assert page.status_code == 200
    revoke = re.findall(r'action="(/results/[\w-]+/shares/\d+/revoke)"', page.text)
    assert web.post(revoke[0]).status_code == 303
    assert [web.get(path).status_code for path in (week, month)] == [200, 404]
    later(settings.home / "web" / "results", days=8)
    assert web.get(result).status_code == 404, "a result is kept for a week, where no link needs it longer"


def later(folder: Path, days: float) -> None:
    """Let the files of a folder be so much older."""
    for path in folder.glob("*.json"):
        os.utime(path, (path.stat().st_mtime - days * 24 * 3600,) * 2)


def pictures(home: Path) -> list[Path]:
    return list((home / "web" / "shares").iterdir())


def test_a_link_of_another_result_cannot_be_taken_back(
    web: FlaskClient, upload: Any, make_picture: MakePicture, result: str, share: Callable[..., str]
) -> None:
    path = share()
    (number,) = re.findall(r"/shares/(\d+)/revoke", web.get(result).text)
    other = upload((make_picture("blue"), "b.png")).location
    assert web.post(f"{other}/shares/{number}/revoke").status_code == 404
    assert web.get(path).status_code == 200


def test_missing_expired_and_foreign_links_are_all_the_same(web: FlaskClient, share: Callable[..., str]) -> None:
    share()
    pages = {web.get(f"/shared/{token}").text for token in ("x", "A" * 43, "A" * 5000, "..%2F..", "%00")}
    assert len(pages) == 1
    assert "expired" in pages.pop()


@pytest.mark.parametrize("days", ["", "0", "2", "3650", "-1", "7; DROP TABLE shares", "７"])
def test_only_the_offered_days_are_taken(web: FlaskClient, result: str, days: str) -> None:
    assert web.post(f"{result}/shares", data={"days": days}).status_code == 422
