"""Work shared among forked processes: the order of its results, what goes wrong there, and what is left behind."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import pytest

import training.forked
from tellapart.errors import DataError
from training.forked import forked_map, imports_left_alone

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, and however little there is to do."""
    monkeypatch.setattr(training.forked, "cpus", lambda: 3)
    monkeypatch.setattr(training.forked, "_PAYS", 0.0)


def working(item: int) -> tuple[int, int]:
    """What it took and which process did it, with a moment's work so that forking pays."""
    end = time.thread_time() + 0.001
    while time.thread_time() < end:
        pass
    return item, os.getpid()


def test_results_come_in_order_from_several_processes() -> None:
    found = list(forked_map(working, range(8)))
    assert [item for item, _ in found] == list(range(8))
    processes = [process for _, process in found]
    assert processes[:2] == [os.getpid()] * 2  # the first, and the first of the shares
    assert len(set(processes)) == 3
    assert processes[1:4] == processes[4:7]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_items_are_done_here(n: int) -> None:
    assert list(forked_map(working, range(n))) == [(i, os.getpid()) for i in range(n)]


def test_what_takes_no_time_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.forked, "_PAYS", 60.0)
    assert {process for _, process in forked_map(working, range(8))} == {os.getpid()}


def test_inside_a_forked_process_nothing_is_forked() -> None:
    def inner(item: int) -> set[int]:
        return {process for _, process in forked_map(working, range(4))}

    found = list(forked_map(inner, range(4)))
    assert len(found[0]) == 3
    assert len(found[2]) == 1
    assert found[2] != {os.getpid()}


def test_what_a_killed_process_left_undone_is_done_here() -> None:
    here = os.getpid()

    def work(item: int) -> tuple[int, int]:
        if item >= 5 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return working(item)

    found = list(forked_map(work, range(9)))
    assert [item for item, _ in found] == list(range(9))
    assert {process for _, process in found[5:]} == {here}


def test_where_no_process_can_be_had_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more() -> int:
        raise BlockingIOError("there are too many")

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr("os.fork", no_more)
    assert list(forked_map(working, range(8))) == [(i, os.getpid()) for i in range(8)]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


_ENDED_EARLY = """
import os, signal
import training.forked
from tellapart.stopping import stopping_on_sigterm

training.forked.cpus, training.forked._PAYS = lambda: 3, -1.0
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
with stopping_on_sigterm():
    print(list(training.forked.forked_map(abs, range(8))))
"""


def test_a_process_that_is_ended_as_soon_as_it_is_there_says_nothing() -> None:
    """It has the handlers of the one that forked it at first."""
    command = [sys.executable, "-c", _ENDED_EARLY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=480)
    assert (done.stdout, done.stderr) == ("[0, 1, 2, 3, 4, 5, 6, 7]\n", "")


def test_what_goes_wrong_is_raised_here(capfd: pytest.CaptureFixture[str]) -> None:
    def work(item: int) -> int:
        if item == 2:
            raise DataError("the third is no good")
        return working(item)[0]

    with pytest.raises(DataError, match="the third is no good"):
        list(forked_map(work, range(6)))
    assert capfd.readouterr() == ("", "")


class Garbage:
    """Holds itself, so that only a collection takes it away."""

    def __init__(self, taken_away: Path) -> None:
        self.itself, self.taken_away = self, taken_away

    def __del__(self) -> None:
        with self.taken_away.open("a") as file:
            file.write(f"{os.getpid()} ")


def test_what_was_garbage_before_is_not_taken_away_in_a_forked_process(tmp_path: Path) -> None:
    def work(item: int) -> tuple[int, int]:
        if os.getpid() != here:
            gc.collect()
        return working(item)

    here = os.getpid()
    gc.disable()
    try:
        Garbage(tmp_path / "by")
        assert len({process for _, process in forked_map(work, range(8))}) == 3
        gc.collect()
    finally:
        gc.enable()
    assert (tmp_path / "by").read_text() == f"{here} "


def test_no_process_is_left_where_nobody_waits_for_the_results() -> None:
    def work(item: int) -> int:
        if item > 1:
            time.sleep(600)
        return working(item)[0]

    before = set(active_children())
    found: Iterator[int] = forked_map(work, range(6))
    assert [next(found), next(found)] == [0, 1]
    assert len(set(active_children()) - before) == 2
    del found
    assert set(active_children()) <= before


def test_what_was_there_is_not_looked_through_for_garbage_meanwhile() -> None:
    before = gc.get_freeze_count()
    with imports_left_alone():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0
