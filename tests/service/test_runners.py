"""What several Runners have in memory while one of them starts again, with links that only note what they are asked.

And what becomes of pictures that wait while the only one is killed, with a Runner that is played by the test.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart import runner_link, runners
from tellapart.messages import WATCH, Closed, pack, receive, write_answers
from tellapart.meters import Meters
from tellapart.preprocess import Preprocessing
from tellapart.runners import Runners
from tellapart.store import StoredModel
from tellapart.wire import ServiceError


class Link:
    """A Runner that is up and loads at once."""

    def __init__(
        self, _number: int, _lanes: dict[str, int], prepare: Callable[[Any], Any], changed: Callable[[], None]
    ) -> None:
        self.start_again = lambda: prepare(self)
        self.changed = changed
        self.asked: list[tuple[str, str]] = []
        self.ready = True

    async def ask(self, _lane: str, head: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self.asked.append((head["do"], head["folder"]))
        return {"batch": 8, "streams": 2, "threads": 1, "tuned": bool(head["folder"])}, b""


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


class DyingRunner:
    """Computes one picture at a time, and is killed over the first; the next one answers what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._talks: dict[asyncio.Task[Any] | None, asyncio.StreamWriter] = {}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks[asyncio.current_task()] = writer
        with contextlib.suppress(Closed):
            while True:
                head, _ = await receive(reader)
                if head["do"] == "answer" and self._killed():
                    break
                if head["do"] == WATCH:
                    self._talks = {asyncio.current_task(): writer} | self._talks
                else:
                    writer.writelines(self._reply(head["do"]))
        writer.close()

    def _killed(self) -> bool:
        self.asked += 1
        if self.asked == 1:
            watch, *others = self._talks.values()
            for writer in others:
                writer.close()
            asyncio.get_running_loop().call_later(0.05, watch.close)  # a process that ends closes one after the other
        return self.asked == 1

    def _reply(self, do: str) -> Any:
        if do == "prepare":
            return pack({"batch": 1, "streams": 1, "threads": 2, "tuned": True})
        head, parts = write_answers([(np.array([0.25, 0.75], np.float32), False)])
        return pack({**head, "seconds": 0.1}, *parts)

    async def end(self) -> None:
        for writer in self._talks.values():
            writer.close()
        await asyncio.gather(*(task for task in self._talks if task))


def test_only_what_was_in_a_runner_is_lost_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "0.sock"
    monkeypatch.setattr(runner_link, "socket_path", lambda _: path)
    monkeypatch.setattr(runners, "visible_gpus", list)
    info = type(
        "Info", (), {"backbone_sha256": "", "preprocessing": Preprocessing(8, 8, "bilinear", (0, 0, 0), (1, 1, 1))}
    )
    model: Any = type("Model", (), {"path": tmp_path, "tag": "pets:1", "info": info})

    async def body() -> list[Any]:
        played = DyingRunner()
        server = await asyncio.start_unix_server(played.talk, path)
        found = Runners(_no_default, Meters(), max_queue=5, timeout_s=60.0)
        await found.start()
        waiting = [found.answer(model, np.zeros((8, 8, 3), np.uint8)) for _ in range(3)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        await found.stop()
        server.close()
        await played.end()
        return answers

    first, *rest = asyncio.run(body())
    assert isinstance(first, ServiceError)
    assert first.code == "not_ready"
    assert [probabilities.tolist() for probabilities, _ in rest] == [[0.25, 0.75]] * 2
