"""Pictures by their address: what is fetched, and what is refused before a byte is sent."""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from flask import Flask, Response, redirect, request
from flask.testing import FlaskClient

from tellapart.addresses import Address, Network
from tellapart.wire import ServiceError
from webui.fetching import AT_ONCE, PictureFetcher

MakePicture = Callable[..., bytes]
HERE = Network(admits=lambda address, _: address == ip_address("127.0.0.1"))


@pytest.fixture
def site(serve: Callable[[Any], str], make_picture: MakePicture) -> str:
    """A site with a picture, and with everything that may go wrong."""
    app = Flask("site")
    answers: dict[str, Callable[[], Any]] = {
        "red.png": lambda: Response(make_picture("red"), mimetype="image/png"),
        "away": lambda: redirect("/red.png"),
        "inside": lambda: redirect("http://127.0.0.2:1/red.png"),
        "file": lambda: redirect("file:///etc/passwd"),
        "loop": lambda: redirect("/loop"),
        "gone": lambda: ("", 404),
        "endless": lambda: Response((bytes(2**20) for _ in range(1000)), mimetype="image/png"),
        "agent": lambda: request.headers["User-Agent"],
    }
    app.get("/<name>")(lambda name: answers[name]())
    return serve(app)


@pytest.fixture
def fetcher() -> PictureFetcher:
    return PictureFetcher(HERE)


def test_a_picture_is_fetched_and_answered(
    app: Flask, web: FlaskClient, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.extensions["tellapart"].fetcher, "_network", HERE)
    answer = web.post("/classify", data={"url": f"{site}/red.png", "model": "colours"})
    page = web.get(answer.location).text
    assert "<h1>red</h1>" in page
    assert "red.png · 64 × 64 pixels" in page


def test_redirects_are_followed(site: str, fetcher: PictureFetcher) -> None:
    assert fetcher.fetch(f"{site}/away").name == "red.png"
    assert fetcher.fetch(f"{site}/agent").data.startswith(b"tellapart/")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/inside", "127.0.0.2 is not at a public address"),
        ("/file", "'file:///etc/passwd' is no http or https address"),
        ("/loop", "sent on more than 5 times"),
        ("/gone", "answered with status 404"),
        ("/endless", "more than 20 MB"),
    ],
)
def test_what_a_site_may_do_is_one_clear_line(site: str, fetcher: PictureFetcher, path: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        fetcher.fetch(site + path)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "file:///etc/passwd",
        "ftp://example.org/a.png",
        "gopher://example.org/",
        "javascript:alert(1)",
        "//example.org/a.png",
        "http://",
        "http://user:secret@example.org/a.png",
        "http://exa mple/",
        "x" * 3000,
    ],
)
def test_addresses_inside_and_of_other_kinds_are_refused(web: FlaskClient, service: Any, address: str) -> None:
    answer = web.post("/classify", data={"url": address}, headers={"Accept": "application/json"})
    assert answer.status_code == 422
    refusals = ("is not at a public address", "is no http or https address", "no site called", "cannot be fetched")
    assert any(words in answer.json["error"]["message"] for words in refusals)
    assert service.pictures == 0


def test_the_address_is_checked_when_it_is_connected_to(site: str) -> None:
    """A name that leads outside when it is looked at and inside when it is connected to does not get in."""
    seen: list[Address] = []

    def admits(address: Address, _: bool) -> bool:
        seen.append(address)
        return False

    with pytest.raises(ServiceError, match="is not at a public address"):
        PictureFetcher(Network(admits=admits)).fetch(site.replace("127.0.0.1", "localhost") + "/red.png")
    assert ip_address("127.0.0.1") in seen


def test_a_site_that_never_answers_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ServiceError, match="takes too long"):
            PictureFetcher(HERE, seconds=0.3).fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_only_a_few_are_fetched_at_once(site: str, fetcher: PictureFetcher) -> None:
    for _ in range(AT_ONCE):
        fetcher._turns.acquire()
    with pytest.raises(ServiceError, match="too many addresses") as caught:
        fetcher.fetch(f"{site}/red.png")
    assert caught.value.status == 503
    fetcher._turns.release()
    assert fetcher.fetch(f"{site}/red.png").data
