"""Several fronts over one Runner: what clients notice of one that is killed, of a reload, and of the end."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from tellapart import store
from tests.service.processes import FRONT, RUNNER, Asking, Processes, until

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]  # servers start twice in them


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fronts")


@pytest.fixture(scope="module")
def url(
    home: Path,
    store_at: Callable[[Path], AbstractContextManager[None]],
    add_model: Callable[..., store.StoredModel],
    serve: Callable[..., AbstractContextManager[str]],
) -> Iterator[str]:
    """A server with two fronts; the last test ends it."""
    with store_at(home):
        add_model("pets")
    with serve(home, TELLAPART_FRONTS="2") as address:
        yield address


def test_where_one_is_killed_the_other_answers_on_and_only_the_missing_one_is_started(
    url: str, home: Path, asking: Asking, processes: Processes
) -> None:
    killed, other = processes(home, FRONT)
    runners = set(processes(home, RUNNER))
    with asking(url, 4) as asked:
        killed.kill()
        seconds = until(lambda: killed not in (now := processes(home, FRONT)) and len(now) == 2)
    print(f"another front was started after {seconds:.2f} s")
    assert asked.kinds <= {(200, ""), (0, "")}
    assert [status for _, status, _ in asked.answers].count(0) <= 4  # what was in it
    assert other in processes(home, FRONT)
    assert set(processes(home, RUNNER)) == runners


def test_a_reload_replaces_all_fronts_and_nobody_is_refused(
    url: str, home: Path, asking: Asking, processes: Processes
) -> None:
    before, runners = set(processes(home, FRONT)), set(processes(home, RUNNER))
    (supervisor,) = {front.parent() for front in before}
    with asking(url, 4) as asked:
        supervisor.send_signal(signal.SIGHUP)
        until(lambda: not before & set(processes(home, FRONT)))
        seen = len(asked.answers)
        until(lambda: len(asked.answers) >= seen + 8)
    assert asked.kinds == {(200, "")}
    assert set(processes(home, RUNNER)) == runners


def test_what_is_in_flight_when_the_server_is_told_to_stop_is_answered_and_no_process_is_left(
    url: str, home: Path, asking: Asking, processes: Processes
) -> None:
    everything = processes(home)
    (supervisor,) = {front.parent() for front in processes(home, FRONT)}
    with asking(url, 16) as asked:
        told = time.monotonic()
        supervisor.terminate()
        _, left = psutil.wait_procs(everything, 90)
    print(f"ended after {time.monotonic() - told:.2f} s under load")
    assert left == []
    in_flight = [status for sent, status, _ in asked.answers if sent < told]
    later = {status for sent, status, _ in asked.answers if sent >= told}
    assert in_flight == [200] * len(in_flight)
    assert later <= {200, 0}
    assert len(asked.answers) - len(in_flight) >= 16  # everybody was still asking
