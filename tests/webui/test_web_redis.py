"""The web page's stores on a real Redis server: answers as JSON, and counted requests."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask

from tellapart.settings import Settings
from webui.app import create_app

pytestmark = pytest.mark.redis

MakePicture = Callable[..., bytes]


@pytest.fixture
def kept(redis_url: str) -> Iterator["redis.Redis"]:
    """The server's content, empty before and after."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture
def app(tmp_path: Path, redis_url: str, kept: Any, service_client: Any) -> Flask:
    settings = Settings(home=tmp_path / "home", cache_url=redis_url)
    return create_app(settings, client=service_client, WTF_CSRF_ENABLED=False)


def test_an_answer_is_kept_as_json_and_found_again(
    upload: Any, make_picture: MakePicture, service: Any, kept: Any
) -> None:
    answers = [upload((make_picture("red"), "a.png"), json=True).json["results"][0] for _ in range(2)]
    assert [answer["from_cache"] for answer in answers] == [False, True]
    assert service.asked("/classify") == 1
    (key,) = [key for key in kept.scan_iter() if key.startswith(b"tellapart:")]
    assert "red" in json.dumps(json.loads(kept.get(key)))
    assert 0 < kept.ttl(key) <= 7 * 24 * 3600


@pytest.mark.parametrize("rubbish", [b"\x80\x04N.", b"!\x80\x04N.", b"{", b"[" * 100_000])
def test_what_is_no_json_is_asked_again(
    upload: Any, make_picture: MakePicture, service: Any, kept: Any, rubbish: bytes
) -> None:
    upload((make_picture("red"), "a.png"), json=True)
    for key in kept.scan_iter():
        kept.set(key, rubbish)
    assert upload((make_picture("red"), "a.png"), json=True).json["results"][0]["from_cache"] is False
    assert service.asked("/classify") == 2


def test_tries_are_counted_even_while_redis_is_away(tmp_path: Path, service_client: Any) -> None:
    settings = Settings(home=tmp_path / "home", cache_url="redis://127.0.0.1:1/0")
    web = create_app(settings, client=service_client, WTF_CSRF_ENABLED=False).test_client()
    tries = [web.post("/login", data={"name": "ann", "password": "wrong"}).status_code for _ in range(11)]
    assert tries == [401] * 10 + [429]


def test_tries_to_log_in_are_counted_for_all_workers_together(
    app: Flask, tmp_path: Path, redis_url: str, service_client: Any
) -> None:
    settings = Settings(home=tmp_path / "home", cache_url=redis_url)
    other = create_app(settings, client=service_client, WTF_CSRF_ENABLED=False)
    workers = [app.test_client(), other.test_client()]
    tries = [workers[i % 2].post("/login", data={"name": "ann", "password": "wrong"}) for i in range(11)]
    assert 429 not in [answer.status_code for answer in tries[:10]]
    assert tries[10].status_code == 429
    assert 0 < int(tries[10].headers["Retry-After"]) <= 60
