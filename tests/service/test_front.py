"""The front in process: what counts as waiting, and how long anything may."""

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import service
from tellapart.meters import Meters
from tellapart.openapi import describe
from tellapart.routes import ROUTES, build_app
from tellapart.uploads import Upload
from tellapart.wire import ServiceError

UPLOAD = Upload([b"picture"])
Ask = Callable[[Any], Awaitable[Any]]


@pytest.fixture
def front(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A front without Runners that has room for two pictures and two explanations."""
    monkeypatch.setenv("TELLAPART_MAX_WAITING", "2")
    monkeypatch.setattr(service, "MAX_EXPLANATIONS", 2)
    return service.Classifier.inner()


@pytest.mark.parametrize(
    "ask",
    [
        lambda front: front.one(UPLOAD),
        lambda front: front.many(UPLOAD),
        lambda front: front.explain(UPLOAD),
        lambda front: front.nearest(UPLOAD),
    ],
)
def test_what_waits_for_a_classifier_to_be_loaded_takes_room(front: Any, ask: Ask) -> None:
    async def body() -> None:
        waiting = asyncio.Semaphore(0)

        async def find(_: str) -> None:
            waiting.release()
            await asyncio.Event().wait()

        front._versions = SimpleNamespace(find=find)
        tasks = [asyncio.ensure_future(ask(front)) for _ in range(2)]
        for _ in tasks:
            await waiting.acquire()
        with pytest.raises(ServiceError) as refused:
            await asyncio.wait_for(ask(front), 60)
        assert refused.value.code == "overloaded"
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        front._pictures.check()
        front._explanations.check(2)

    asyncio.run(body())


def test_a_picture_that_cannot_be_decoded_in_time_is_overload(front: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TIMEOUT_S", 0.05)
    release = threading.Event()
    monkeypatch.setattr(service, "_decode", lambda *_: release.wait(30))

    async def find(_: str) -> Any:
        return SimpleNamespace(tag="pets:1", info=SimpleNamespace(preprocessing=None))

    front._versions = SimpleNamespace(find=find)

    async def body() -> Any:
        return (await front.many(Upload([b"a", b"b"]))).results

    try:
        assert [result.error.code for result in asyncio.run(body())] == ["overloaded"] * 2
    finally:
        release.set()


@pytest.mark.parametrize("ask", [lambda front: front.explain(UPLOAD), lambda front: front.nearest(UPLOAD)])
def test_an_explanation_that_is_not_its_turn_in_time_is_overload(
    front: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TIMEOUT_S", 0.05)

    async def find(_: str) -> Any:
        return SimpleNamespace(tag="pets:1", info=SimpleNamespace(class_names=["cat"]))

    front._versions = SimpleNamespace(find=find)

    async def body() -> None:
        async with front._one_explanation:
            with pytest.raises(ServiceError) as refused:
                await asyncio.wait_for(ask(front), 60)
        assert refused.value.code == "overloaded"
        front._explanations.check(2)

    asyncio.run(body())


def test_a_classifier_that_is_not_loaded_in_time_is_overload(front: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TIMEOUT_S", 0.05)
    front._versions = SimpleNamespace(find=lambda _: asyncio.Event().wait())
    with pytest.raises(ServiceError) as refused:
        asyncio.run(asyncio.wait_for(front.one(UPLOAD), 60))
    assert refused.value.code == "overloaded"


def test_what_a_killed_front_said_of_itself_is_taken_out_of_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    gone = 2**22 + 1  # no process has such a number
    for name in (f"gauge_livesum_{gone}.db", f"counter_{gone}.db", f"gauge_livesum_{os.getpid()}.db"):
        (tmp_path / name).touch()
    Meters()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"counter_{gone}.db",
        f"gauge_livesum_{os.getpid()}.db",
    ]


@pytest.mark.parametrize("path", ["/classify", "/classify_batch", "/explain", "/nearest"])
@pytest.mark.parametrize("reason", ["not_ready", "overloaded"])
def test_what_cannot_be_answered_is_refused_before_it_is_read(front: Any, path: str, reason: str) -> None:
    async def body() -> None:
        with contextlib.ExitStack() as stack:
            if reason == "overloaded":
                front._runners.check = lambda: None
                stack.enter_context(front._pictures.admit(2))
                stack.enter_context(front._explanations.admit(2))
            with pytest.raises(ServiceError) as refused:
                await ask_unread(front, path)
        assert refused.value.code == reason

    asyncio.run(body())


@pytest.mark.parametrize("path", ["/reports/", "/reports", "/unknown"])
def test_nothing_but_a_tag_names_a_report(front: Any, path: str) -> None:
    front.catalogue = None
    with pytest.raises(ServiceError) as refused:
        asyncio.run(ask_unread(front, path))
    assert refused.value.code == "not_found"


def test_every_route_is_described_and_takes_a_body_where_it_is_sent_one() -> None:
    described = {re.sub(r"{\w+}", "", path): set(one) for path, one in describe()["paths"].items()}
    assert set(described) <= set(ROUTES) <= {*described, "/docs.json", "/healthz"}
    for path, route in ROUTES.items():
        (method,) = {"GET", "POST"} & route.methods
        assert described.get(path, {method.lower()}) == {method.lower()}
        assert (route.most_bytes > 0) == (method == "POST")


async def ask_unread(front: Any, path: str) -> None:
    """Ask our routes, whose body must not be read."""

    async def unread() -> Any:
        raise AssertionError("it was read")

    async def send(_: Any) -> None:
        raise AssertionError("it was answered")

    await build_app(lambda: front, {})({"type": "http", "path": path, "method": "POST", "headers": []}, unread, send)
