"""The Runner and the front's link to it on a real socket, around a computation that is known by hand."""

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tellapart import fronts, runner_connection, runner_link, runner_process
from tellapart.fronts import Fronts
from tellapart.messages import GOODBYE, WATCH, Closed, pack, receive, receive_blocking, send_blocking
from tellapart.runner import Runner
from tellapart.runner_link import RunnerLink
from tellapart.tuning import Tuning
from tellapart.wire import ServiceError

LANES = {"answer": 2, "load": 1, "aside": 1}


class Engine:
    """Loads what is asked for but raises what it is told to, and waits for `gate` over what is called "slow"."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: dict[str, Exception] = {}
        self.begun, self.gate = threading.Event(), threading.Event()

    def load(self, folder: str) -> None:
        self.asked.append(folder)
        if folder in self.failures:
            raise self.failures[folder]
        if folder == "slow":
            self.begun.set()
            self.gate.wait(90)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def path(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a Runner around the engine listens; it must end when its fronts and their supervisor have gone."""
    supervisor_ended = threading.Event()
    monkeypatch.setattr(fronts, "has_ended", lambda _: supervisor_ended.is_set())
    monkeypatch.setattr(fronts, "_NOBODY_CAME_S", 600.0)  # longer than any test waits
    made: Any = engine
    computing = Runner(made, Fronts(0), lambda _: Tuning(8, 2, 1), Tuning(4, 2, 1))
    where = tmp_path / "0.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(where))
        listening.listen()
        serving = threading.Thread(target=computing.serve, args=(listening,), daemon=True)
        serving.start()
        yield where
        supervisor_ended.set()
        serving.join(90)
        assert not serving.is_alive()


@contextlib.contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(90)
        connection.connect(str(path))
        yield connection


def ask(connection: socket.socket, folder: str) -> str:
    """The code of what comes back, "" where it is no error."""
    send_blocking(connection, pack({"do": "load", "folder": folder}))
    return str(receive_blocking(connection)[0].get("code", ""))


def test_a_fault_is_an_error_for_its_question_and_the_connection_goes_on(path: Path, engine: Engine) -> None:
    engine.failures = {
        "broken": RuntimeError("secret"),
        "large": MemoryError(),
        "bad": ServiceError("unusable_model", ""),
    }
    with connected(path) as watch, connected(path) as connection:
        send_blocking(watch, pack({"do": WATCH, "front": 1}))
        codes = [ask(connection, folder) for folder in ("good", "broken", "large", "bad", "good")]
        send_blocking(watch, pack({"do": GOODBYE}))
    assert codes == ["", "internal", "overloaded", "unusable_model", ""]


def test_a_runner_is_tuned_once_there_is_something_to_tune_with(path: Path) -> None:
    with connected(path) as watch, connected(path) as connection:
        send_blocking(watch, pack({"do": WATCH, "front": 1}))
        replies = []
        for folder in ("", "first"):
            send_blocking(connection, pack({"do": "prepare", "folder": folder}))
            replies.append(receive_blocking(connection)[0])
        send_blocking(watch, pack({"do": GOODBYE}))
    assert [(reply["tuned"], reply["batch"]) for reply in replies] == [(False, 4), (True, 8)]


class Together(Engine):
    """Answers when two batches are there at the same time, and fails after `patience` seconds."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.both = threading.Barrier(2, timeout=patience)

    def answer(self, *_: Any) -> list[Any]:
        self.both.wait()
        return []


@pytest.mark.parametrize(("together", "codes"), [(True, [None, None]), (False, ["internal", "internal"])])
def test_batches_that_are_put_together_wait_for_no_turn(together: bool, codes: list[str | None]) -> None:
    engine: Any = Together(60 if together else 0.1)
    computing = Runner(engine, Fronts(0), lambda _: None, Tuning(4, 1, 1), together)
    head = {"do": "answer", "folders": [], "shape": [0, 8, 8, 3]}
    with ThreadPoolExecutor(2) as fronts_asking:
        replies = [fronts_asking.submit(computing._reply, head, bytearray()) for _ in range(2)]
        assert [reply.result(90)[0].get("code") for reply in replies] == codes


async def linked() -> RunnerLink:
    """A link that is connected."""
    ready = asyncio.Event()

    async def prepare(_: RunnerLink) -> None:
        ready.set()

    link = RunnerLink(0, LANES, prepare, lambda: None)
    await link.start()
    await asyncio.wait_for(ready.wait(), 60)
    return link


async def connected_again(link: RunnerLink) -> None:
    """What was lost is found, as the tests' Runner is not really killed."""
    async with asyncio.timeout(60):
        while not link.ready:
            await asyncio.sleep(0.01)


def test_who_gives_up_before_it_is_their_turn_is_not_asked_for(
    path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_link, "socket_path", lambda _: path)

    async def body() -> None:
        link = await linked()
        first, second, third = (
            asyncio.create_task(link.ask("aside", {"do": "load", "folder": folder}))
            for folder in ("slow", "given up", "wanted")
        )
        await asyncio.to_thread(engine.begun.wait, 90)
        second.cancel()
        engine.gate.set()
        await asyncio.gather(first, third)
        await link.stop()

    asyncio.run(body())
    assert engine.asked == ["slow", "wanted"]


def test_a_question_given_up_on_under_way_leaves_the_connection_in_order(
    path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_link, "socket_path", lambda _: path)
    engine.failures["bad"] = ServiceError("unusable_model", "no")

    async def body() -> None:
        link = await linked()
        first = asyncio.create_task(link.ask("aside", {"do": "load", "folder": "slow"}))
        await asyncio.to_thread(engine.begun.wait, 90)
        first.cancel()
        second = asyncio.create_task(link.ask("aside", {"do": "load", "folder": "bad"}))
        await asyncio.sleep(0)
        engine.gate.set()
        with pytest.raises(ServiceError, match="no"):
            await second
        await link.stop()

    asyncio.run(body())


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was killed; nothing really is, as the tests' Runner is a thread of this process."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(runner_connection.os, "kill", lambda *which: found.append(which))
    return found


@pytest.mark.parametrize(("lane", "limit"), [("aside", "_ANSWER_S"), ("answer", "_ANSWER_S"), ("load", "_LOAD_S")])
def test_a_runner_that_hangs_is_ended(
    path: Path, engine: Engine, ended: list[tuple[int, int]], lane: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_link, "socket_path", lambda _: path)
    monkeypatch.setattr(runner_link, limit, 0.2)

    async def body() -> None:
        link = await linked()
        with pytest.raises(ServiceError, match="starting again"):
            await asyncio.wait_for(link.ask(lane, {"do": "load", "folder": "slow"}), 60)
        engine.gate.set()
        await connected_again(link)
        await link.stop()

    asyncio.run(body())
    assert ended == [(os.getpid(), signal.SIGKILL)]


def test_a_runner_that_hangs_is_ended_where_who_asked_has_given_up(
    path: Path, engine: Engine, ended: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_link, "socket_path", lambda _: path)
    monkeypatch.setattr(runner_link, "_ANSWER_S", 0.2)

    async def body() -> list[dict[str, Any]]:
        unread: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: unread.append(what))
        link = await linked()
        first = asyncio.create_task(link.ask("aside", {"do": "load", "folder": "slow"}))
        await asyncio.to_thread(engine.begun.wait, 90)
        first.cancel()
        async with asyncio.timeout(60):
            while not ended:
                await asyncio.sleep(0.01)
        engine.gate.set()
        await connected_again(link)
        await link.stop()
        await asyncio.sleep(0)
        gc.collect()  # an exception that nobody read is said when its task is collected
        return unread

    assert asyncio.run(body()) == []
    assert ended == [(os.getpid(), signal.SIGKILL)]


def test_a_runner_that_is_killed_again_and_again_is_connected_to_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By growing pauses, as for one that cannot be started, twelve times would take over a minute."""
    monkeypatch.setattr(runner_link, "socket_path", lambda _: tmp_path / "0.sock")
    enough, lives, dying = asyncio.Event(), [], []

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dying.append(asyncio.current_task())
        with contextlib.suppress(Closed):
            await receive(reader)  # the front's word that it watches
        writer.close()
        await writer.wait_closed()

    async def prepare(_: RunnerLink) -> None:
        lives.append(1)
        if len(lives) == 12:
            enough.set()
            await asyncio.Event().wait()

    async def body() -> None:
        server = await asyncio.start_unix_server(die, tmp_path / "0.sock")
        link = RunnerLink(0, LANES, prepare, lambda: None)
        await link.start()
        await asyncio.wait_for(enough.wait(), 60)
        await link.stop()
        server.close()
        await asyncio.gather(*dying, return_exceptions=True)

    asyncio.run(body())


def test_what_nobody_foresaw_does_not_end_the_keeping_of_a_runner(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner_link, "socket_path", lambda _: path)
    failures = [RuntimeError("the handler is closed")]

    async def prepare(_: RunnerLink) -> None:
        if failures:
            raise failures.pop()

    async def body() -> None:
        link = RunnerLink(0, LANES, prepare, lambda: None)
        await link.start()
        await connected_again(link)
        await link.stop()

    asyncio.run(body())
    assert "the Runner is not usable: the handler is closed" in caplog.text


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_a_folder_that_others_can_enter_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = runner_process.socket_path(0).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(mode)
    with pytest.raises(PermissionError, match="not ours alone"):
        runner_process.socket_path(0)


def test_what_killed_servers_left_goes_unless_a_runner_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    gone = 2**22 + 1  # no process has such a number
    folders = [tmp_path / f"tellapart-{os.getuid()}-{pid}" for pid in (gone, gone + 1, os.getpid())]
    for folder in folders:
        folder.mkdir()
        (folder / "0.lock").touch()
        (folder / "0.json").touch()
    with (folders[1] / "0.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runner_process.sweep()
    assert [folder.exists() for folder in folders] == [False, True, True]
