"""What several Runners have in memory while one of them starts again, with links that only note what they are asked."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tellapart import runners
from tellapart.meters import Meters
from tellapart.runners import Runners
from tellapart.store import StoredModel


class Link:
    """A Runner that is up and loads at once."""

    def __init__(self, _number: int, _lanes: dict[str, int], prepare: Callable[[Any], Any]) -> None:
        self.start_again = lambda: prepare(self)
        self.asked: list[tuple[str, str]] = []
        self.ready = True

    async def ask(self, _lane: str, head: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self.asked.append((head["do"], head["folder"]))
        return {"batch": 8, "streams": 2, "tuned": bool(head["folder"])}, b""


async def _no_default() -> StoredModel | None:
    return None


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The Runners of two GPUs."""
    made: list[Link] = []
    monkeypatch.setattr(runners, "visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr(runners, "RunnerLink", lambda *args: made.append(Link(*args)) or made[-1])
    return made


@pytest.fixture
def all_of_them(links: list[Link]) -> Runners:
    return Runners(_no_default, Meters(), max_queue=1, timeout_s=1.0)


def test_a_runner_that_starts_again_stops_no_other_and_has_what_they_have(
    all_of_them: Runners, links: list[Link], tmp_path: Path
) -> None:
    model: Any = type("Model", (), {"path": tmp_path, "tag": "pets:1"})

    async def body() -> None:
        await all_of_them.load(model)
        links[1].ready = False
        for link in links:
            link.asked.clear()
        await all_of_them.load(model)
        await links[1].start_again()
        links[1].ready = True
        await all_of_them.load(model)

    asyncio.run(body())
    assert links[0].asked == []
    assert ("load", str(tmp_path)) in links[1].asked


def test_a_runner_is_tuned_when_the_first_classifier_comes(
    all_of_them: Runners, links: list[Link], tmp_path: Path
) -> None:
    model: Any = type("Model", (), {"path": tmp_path, "tag": "pets:1"})

    async def body() -> None:
        await links[0].start_again()
        await all_of_them.load(model)
        await all_of_them.load(model)

    asyncio.run(body())
    assert links[0].asked == [("prepare", ""), ("load", str(tmp_path)), ("prepare", str(tmp_path))]
