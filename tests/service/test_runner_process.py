"""Starting a Runner's process, with a program in its place that is told to stop at once, as everything below is."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import psutil
import pytest

from tellapart import runner_process
from tellapart.runner_connection import is_open
from tellapart.runner_process import start_runner, turn

_PYTHON = sys.executable
_PROGRAM = """#!{python}
import os, signal, socket, sys, time
path = sys.argv[3]
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    os.kill(os.getpid(), number)
os.fork()
with open(path + ".pids", "a") as file:
    file.write(f"{{os.getpid()}} ")
if {listens} and os.getsid(0) == os.getpid():
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where it listens; what was started is ended after the test."""
    real, made = subprocess.Popen, list["subprocess.Popen[bytes]"]()
    monkeypatch.setattr(runner_process.sys, "executable", str(tmp_path / "program"))
    monkeypatch.setattr(runner_process.subprocess, "Popen", lambda *a, **k: made.append(real(*a, **k)) or made[-1])
    yield tmp_path / "0.sock"
    for process in made:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def program(path: Path, listens: bool) -> None:
    file = path.parent / "program"
    file.write_text(_PROGRAM.format(python=_PYTHON, listens=listens))
    file.chmod(0o700)


async def both(path: Path) -> list[psutil.Process]:
    """The process that was started, and what it forked."""
    noted = path.with_suffix(".sock.pids")
    async with asyncio.timeout(90):
        while not noted.exists() or len(noted.read_text().split()) < 2:
            await asyncio.sleep(0.02)
    return [psutil.Process(int(pid)) for pid in noted.read_text().split()]


def run(path: Path, body: Callable[[int], Coroutine[None, None, None]]) -> None:
    with turn(path) as lock:
        assert lock is not None
        asyncio.run(body(lock))


def test_signals_to_all_below_the_supervisor_do_not_end_one_that_starts(path: Path) -> None:
    program(path, listens=True)

    async def body(lock: int) -> None:
        await start_runner(path, 0, lock)
        assert await is_open(path)
        await both(path)

    run(path, body)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_one_that_nobody_waits_for_any_more_is_ended_with_all_it_forked(path: Path) -> None:
    program(path, listens=False)

    async def body(lock: int) -> None:
        starting = asyncio.create_task(start_runner(path, 0, lock))
        found = await both(path)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        _, left = await asyncio.to_thread(psutil.wait_procs, found, 60)
        assert left == []

    run(path, body)
