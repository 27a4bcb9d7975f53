"""When a Runner ends, and whom it asks for a front, with processes that play fronts and supervisor."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tellapart import fronts
from tellapart.fronts import Fronts

_WAITS = sys.executable, "-c", "import sys; sys.stdin.read()"  # a process with any arguments
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that waits, with some words in its command."""
    with ExitStack() as stack:
        yield lambda *words: stack.enter_context(subprocess.Popen([*_WAITS, *words], stdin=subprocess.PIPE))


@pytest.fixture
def supervisor(start: Start) -> "subprocess.Popen[bytes]":
    return start("bentoml", "serve")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals that were sent; a process may take its time to end."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(fronts, "_ENDING_S", 60.0)
    monkeypatch.setattr(fronts.os, "kill", lambda *which: found.append(which))
    for name in ("BENTOML_CONTAINERIZED", "BENTOCLOUD_DEPLOYMENT_URL"):
        monkeypatch.delenv(name, raising=False)
    return found


def end(process: "subprocess.Popen[bytes]") -> int:
    """Let a process end that nobody reaps, and say which it was."""
    assert process.stdin
    process.stdin.close()
    return process.pid


def waiting(some: Fronts) -> threading.Thread:
    thread = threading.Thread(target=some.wait, daemon=True)
    thread.start()
    return thread


def test_a_runner_waits_for_other_fronts_as_long_as_the_supervisor_lives(supervisor: "subprocess.Popen[bytes]") -> None:
    some = Fronts(supervisor.pid)
    waits = waiting(some)
    for front in (1, 2):  # the last said goodbye, as in a reload
        some.came()
        some.gone(front, killed=False)
        waits.join(0.3)
        assert waits.is_alive()
    end(supervisor)
    waits.join(90)
    assert not waits.is_alive()


def test_a_runner_ends_where_nobody_comes(
    supervisor: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "_NOBODY_CAME_S", 0.2)
    Fronts(supervisor.pid).wait()
    some = Fronts(supervisor.pid)
    some.came()
    some.gone(1, killed=False)
    some.wait()


def test_a_runner_waits_for_a_front_whose_supervisor_cannot_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "_NOBODY_CAME_S", 0.2)
    began = time.monotonic()
    Fronts(0).wait()
    assert time.monotonic() - began >= 0.2


def test_a_runner_ends_where_nobody_came_and_the_supervisor_has_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "_NOBODY_CAME_S", 600.0)
    ended = start()
    waits = waiting(Fronts(ended.pid))
    waits.join(0.3)
    assert waits.is_alive()
    end(ended)
    waits.join(90)
    assert not waits.is_alive()


def test_the_supervisor_is_asked_once_for_a_front_in_place_of_those_that_were_killed(
    supervisor: "subprocess.Popen[bytes]", start: Start, asked: list[tuple[int, int]]
) -> None:
    some = Fronts(supervisor.pid)
    for again in range(2):
        for _ in range(2):
            some.came()
        for _ in range(2):
            some.gone(end(start()), killed=True)
        assert asked == [(supervisor.pid, signal.SIGHUP)] * (again + 1)


def test_where_others_are_left_the_supervisor_is_asked_only_if_it_would_start_none_by_itself(
    supervisor: "subprocess.Popen[bytes]",
    start: Start,
    asked: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = Fronts(supervisor.pid)
    for _ in range(3):
        some.came()
    some.gone(end(start()), killed=True)
    assert asked == []
    monkeypatch.setenv("BENTOML_CONTAINERIZED", "true")
    some.gone(end(start()), killed=True)
    assert asked == [(supervisor.pid, signal.SIGHUP)]


def test_nobody_is_asked_for_one_that_lives_or_of_who_is_no_supervisor(
    supervisor: "subprocess.Popen[bytes]",
    start: Start,
    asked: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = Fronts(supervisor.pid)
    some.came()
    with monkeypatch.context() as patch:
        patch.setattr(fronts, "_ENDING_S", 0.2)
        some.gone(start().pid, killed=True)  # it has only closed its connection
    some = Fronts(start().pid)
    some.came()
    some.gone(end(start()), killed=True)
    assert asked == []
