"""Forged requests, headers, cookies, and the key that signs them; starting under gunicorn."""

import gzip
import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from tellapart.errors import TellapartError, UsageError
from tellapart.settings import Settings
from tests.webui.stack import LONG, Stack
from webui.app import create_app
from webui.client import ServiceClient
from webui.secret import secret_key
from webui.server import command, run

ROOT = Path(__file__).resolve().parents[2]
MakePicture = Callable[..., bytes]


@pytest.fixture
def guarded(settings: Settings, service_client: ServiceClient) -> FlaskClient:
    """The web page with its guard against forged requests on, as it runs."""
    return create_app(settings, client=service_client).test_client()


def form(data: bytes, **fields: str) -> dict[str, Any]:
    return fields | {"images": (io.BytesIO(data), "a.png")}


def test_a_forged_upload_is_refused(guarded: FlaskClient, make_picture: MakePicture, service: Any) -> None:
    for fields in ({}, {"csrf_token": "made-up"}):
        page = guarded.post("/classify", data=form(make_picture(), **fields))
        assert page.status_code == 400
        assert "Please send that again" in page.text
    answer = guarded.post("/classify", data=form(make_picture()), headers={"Accept": "application/json"})
    assert answer.json["error"]["code"] == "wrong_token"
    assert service.pictures == 0


def test_the_form_carries_what_makes_it_genuine(
    guarded: FlaskClient, make_picture: MakePicture, token_in: Callable[[str], str]
) -> None:
    token = token_in(guarded.get("/classify").text)
    answer = guarded.post("/classify", data=form(make_picture("blue"), csrf_token=token, model="colours"))
    assert answer.status_code == 303
    assert "<h1>blue</h1>" in guarded.get(answer.location).text


@pytest.mark.parametrize("path", ["/", "/classify", "/api", "/classifiers/colours", "/nothing", "/healthz"])
def test_every_answer_carries_the_guards(guarded: FlaskClient, path: str) -> None:
    answer = guarded.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<[^>]+\sstyle=|<style|<script>|\son\w+=", answer.text)


def test_cookies_are_out_of_reach(guarded: FlaskClient) -> None:
    cookie = guarded.get("/classify").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    guarded.delete_cookie("tellapart")
    assert "Secure" in guarded.get("/classify", base_url="https://localhost").headers["Set-Cookie"]


def test_a_style_is_kept_for_good_and_comes_packed_to_who_can_unpack_it(guarded: FlaskClient) -> None:
    style = re.search(r'href="(/static/app\.css\?v=[0-9a-f]{10})"', guarded.get("/").text)
    assert style
    plain = guarded.get(style[1])
    packed = guarded.get(style[1], headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = guarded.get(style[1], headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", packed.headers["ETag"])
    for answer in (plain, packed, again):
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "Accept-Ranges" not in answer.headers
    older = guarded.get("/static/app.css?v=0123456789")  # as an older version of the page asked for it
    assert older.headers["Cache-Control"] == "public, max-age=3600"


def test_a_part_of_a_style_is_never_taken_for_another_form_of_it(guarded: FlaskClient) -> None:
    whole = guarded.get("/static/app.css")
    packed = guarded.get("/static/app.css", headers={"Accept-Encoding": "gzip"}).headers["ETag"]
    part = guarded.get("/static/app.css", headers={"Range": "bytes=10-", "If-Range": packed})
    assert (part.status_code, part.data) == (200, whole.data)


def test_where_there_is_no_style_nothing_is_kept(guarded: FlaskClient) -> None:
    missing = guarded.get("/static/nothing.css?v=0123456789")
    assert missing.status_code == 404
    assert missing.headers["Cache-Control"] == "no-store"


def test_only_who_came_over_https_is_told_to_stay_there(guarded: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in guarded.get("/classify").headers
    secure = guarded.get("/classify", base_url="https://localhost")
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_camera_is_for_the_page_that_uses_it(guarded: FlaskClient) -> None:
    policies = {path: guarded.get(path).headers["Permissions-Policy"] for path in ("/", "/classify")}
    assert "camera=()" in policies["/"]
    assert "camera=(self)" in policies["/classify"]


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    key = secret_key(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert secret_key(tmp_path) == key
    assert (tmp_path / "web" / "secret").stat().st_mode & 0o777 == 0o600
    assert secret_key(tmp_path / "other") != key
    assert [path.name for path in (tmp_path / "web").iterdir()] == ["secret"]


def test_workers_that_start_together_agree_on_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = secret_key(tmp_path)
    with monkeypatch.context() as patch:  # the second worker looked before the first had written
        patch.setattr(Path, "exists", lambda _: False)
        assert secret_key(tmp_path) == first
    assert [path.name for path in (tmp_path / "web").iterdir()] == ["secret"]


def test_a_spoiled_key_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "secret").write_bytes(b"\xff")
    with pytest.raises(TellapartError, match=r"is not a key of 64 characters\. Delete it"):
        secret_key(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TellapartError, match="cannot write"):
        secret_key(tmp_path / "file")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_busy_port_is_one_clear_line(tmp_path: Path, taken: int) -> None:
    with pytest.raises(
        UsageError, match=r"port \d+ for the web page cannot be used .* already in use\. Stop what uses"
    ):
        run(Settings(home=tmp_path, web_port=taken))
    environment = {**os.environ, "TELLAPART_HOME": str(tmp_path), "TELLAPART_WEB_PORT": str(taken)}
    done = subprocess.run(
        [sys.executable, "-m", "webui"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert re.fullmatch(r"error: port \d+ for the web page cannot be used .*\n", done.stderr)


@pytest.mark.timeout(4 * LONG)
def test_gunicorn_serves_it_and_stops(tmp_path: Path) -> None:
    assert "gthread" in command(Settings(home=tmp_path))
    stack = Stack(TELLAPART_HOME=tmp_path, TELLAPART_SERVICE_URL="http://127.0.0.1:9")
    try:
        stack.start("webui")
        with httpx.Client(base_url=stack.url, timeout=LONG) as http:
            assert http.get("/static/favicon.svg").status_code == 200
            page = http.get("/classify")
        assert page.status_code == 503
        assert "The classifier is resting" in page.text
    finally:
        stack.stop()
