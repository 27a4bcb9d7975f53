"""Bodies of questions in memory that a front and a Runner share, by themselves and over a real link."""

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart import fronts, runner, runner_connection, runner_link, shared_buffer
from tellapart.fronts import Fronts
from tellapart.messages import Closed, read_answers
from tellapart.runner import Runner
from tellapart.runner_link import RunnerLink
from tellapart.shared_buffer import SharedBuffer, open_buffer
from tellapart.tuning import Tuning


def descriptors() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_what_one_side_writes_the_other_reads_also_the_next_time() -> None:
    buffer = SharedBuffer(16)
    other = open_buffer(buffer.path)
    assert buffer.write([b"a picture", memoryview(b" or two")]) == 16
    assert bytes(other) == b"a picture or two"
    assert buffer.write([b"another"]) == 7
    assert bytes(other[:7]) == b"another"
    buffer.close()
    assert bytes(other[:7]) == b"another"


def test_more_than_fits_is_refused() -> None:
    buffer = SharedBuffer(16)
    with pytest.raises(ValueError, match=r"data out of range"):
        buffer.write([b"8 bytes.", b"8 bytes.", b"1"])
    buffer.close()


def test_a_closed_buffer_is_let_go_of() -> None:
    before = descriptors()
    buffer = SharedBuffer(16)
    buffer.close()
    assert descriptors() <= before  # others may close theirs meanwhile
    with pytest.raises(FileNotFoundError):
        open_buffer(buffer.path)


def test_where_it_cannot_be_mapped_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def mapped(*_: Any) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(shared_buffer.mmap, "mmap", mapped)
    before = descriptors()
    with pytest.raises(OSError, match="no memory"):
        SharedBuffer(16)
    assert descriptors() <= before  # others may close theirs meanwhile


def test_what_has_the_number_of_a_closed_one_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(FileNotFoundError):
        open_buffer(str(tmp_path / "empty"))


class Summing:
    """Answers a picture with the sum of its numbers."""

    def answer(self, pixels: Any, folders: Sequence[str]) -> list[Any]:
        assert len(pixels) == len(folders)
        return [(np.array([picture.sum()], np.float32), False) for picture in pixels]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a Runner around `Summing` listens."""
    ended = threading.Event()
    monkeypatch.setattr(fronts, "has_ended", lambda _: ended.is_set())
    monkeypatch.setattr(runner_link, "socket_path", lambda _: tmp_path / "0.sock")
    engine: Any = Summing()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "0.sock"))
        listening.listen()
        computing = Runner(engine, Fronts(0), lambda _: None, Tuning(4, 2, 1))
        serving = threading.Thread(target=computing.serve, args=(listening,), daemon=True)
        serving.start()
        yield tmp_path / "0.sock"
        ended.set()
        serving.join(90)
        assert not serving.is_alive()


def with_link(what: Callable[[RunnerLink], Any]) -> None:
    """Do something with a link that is connected."""

    async def body() -> None:
        ready = asyncio.Event()

        async def prepare(_: RunnerLink) -> None:
            ready.set()

        link = RunnerLink(0, {"answer": 1, "load": 1, "aside": 1}, prepare, lambda: None)
        await link.start()
        try:
            await asyncio.wait_for(ready.wait(), 60)
            await what(link)
        finally:
            await link.stop()

    asyncio.run(body())


async def summed(link: RunnerLink, *pictures: bytes) -> list[float]:
    """What is answered for pictures of as many numbers each."""
    head = {"do": "answer", "folders": [""] * len(pictures), "shape": [len(pictures), -1]}
    answer, body = await link.ask("answer", head, *pictures)
    return [float(found[0][0]) for found in read_answers(answer, body) if not isinstance(found, Exception)]


@pytest.mark.parametrize("room", [2**10, 4], ids=["in shared memory", "through the socket"])
def test_each_batch_gets_the_answers_to_its_own_pictures(
    path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other on one connection: a shorter batch after a longer one sees nothing of it."""
    monkeypatch.setattr(runner_connection, "SIZE", room)
    made: list[SharedBuffer] = []

    def make() -> SharedBuffer:
        made.append(SharedBuffer(room))
        return made[-1]

    monkeypatch.setattr(runner_connection, "SharedBuffer", make)

    async def ask(link: RunnerLink) -> None:
        assert await summed(link, b"\1\2\3", b"\4\5\6") == [6, 15]
        assert await summed(link, b"\7\7\7\7\7") == [35]
        assert await summed(link, b"\1\1\1\1\1\1\1\1", b"\2\2\2\2\2\2\2\2") == [8, 16]

    with_link(ask)
    assert len(made) == (room > 4)
    assert path.exists()


def test_where_the_runner_may_not_open_it_pictures_go_through_the_socket(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: str) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(runner, "open_buffer", refused)

    async def ask(link: RunnerLink) -> None:
        for _ in range(2):
            assert await summed(link, b"\1\2\3", b"\4\5\6") == [6, 15]

    with_link(ask)
    assert path.exists()
    assert caplog.text.count("through the socket: not allowed") == 1  # it is not tried again


def test_a_connection_that_was_lost_is_not_written_to_any_more(path: Path) -> None:
    """Nor is a buffer made for it, which nobody would close."""

    async def ask(link: RunnerLink) -> None:
        await summed(link, b"\1")
        connection = link._connections["answer"][0]
        connection.close()
        before = descriptors()
        with pytest.raises(Closed):
            await connection.ask({"do": "answer", "folders": [""], "shape": [1, -1]}, [b"\1"], 60)
        assert descriptors() <= before

    with_link(ask)
    assert path.exists()
