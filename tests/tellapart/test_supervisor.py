"""Servers started together are stopped together, whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tellapart import supervisor
from tellapart.errors import TellapartError, UsageError
from tellapart.supervisor import Server, check_port, check_ports, run
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def http_server(port: int, name: str = "page") -> Server:
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    return Server(name, command, "127.0.0.1", port, f"http://127.0.0.1:{port}/")


class Enough(Exception):
    pass


def test_all_answer_when_ready_and_none_is_left() -> None:
    ports = [free_port(), free_port()]
    seen = []

    def ready() -> None:
        seen.extend(listens(port) for port in ports)
        raise Enough

    with pytest.raises(Enough):
        run([http_server(port) for port in ports], ready)
    assert seen == [True, True]
    assert [listens(port) for port in ports] == [False, False]


def test_a_taken_port_is_refused_before_anything_starts() -> None:
    free = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match=r"port \d+ for the page cannot be used"):
            run([http_server(free), http_server(taken.getsockname()[1])], lambda: None)
    assert not listens(free)


def test_a_free_port_is_not_refused() -> None:
    check_port("127.0.0.1", free_port(), "the page", "")


def test_a_server_that_ends_stops_the_others() -> None:
    port = free_port()
    broken = Server(
        "broken", [sys.executable, "-c", "raise SystemExit(7)"], "127.0.0.1", free_port(), "http://127.0.0.1:1/"
    )
    with pytest.raises(TellapartError, match="the broken ended with status 7"):
        run([http_server(port), broken], lambda: None)
    assert not listens(port)


def test_what_may_be_started_again_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervisor, "LEAST_SECONDS", 0.0)
    started = tmp_path / "started"
    once = f"open({str(started)!r}, 'a').write('x')"

    def ready() -> None:
        threading.Thread(target=stop_when, args=(lambda: started.exists() and len(started.read_text()) >= 3,)).start()

    run([Server("worker", [sys.executable, "-c", once], again=True)], ready)
    assert len(started.read_text()) >= 3


def test_what_ends_as_soon_as_it_starts_is_not_started_for_ever() -> None:
    broken = Server("worker", [sys.executable, "-c", "raise SystemExit(3)"], again=True)
    with pytest.raises(TellapartError, match="the worker ended with status 3"):
        run([broken], lambda: None)


def test_what_takes_long_to_start_is_told_of_and_at_last_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(supervisor, "_READY_SECONDS", 3.0)
    port, told = free_port(), list[str]()
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(TellapartError, match=r"the page was not ready after 3 s \(load \d+ on \d+ cores?\). See"):
        run(
            [Server("page", command, "127.0.0.1", port, f"http://127.0.0.1:{port}/")], lambda: None, waiting=told.append
        )
    assert told
    assert all(line.startswith("the page is not ready after") for line in told)


def stop_when(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_servers_and_their_children(number: signal.Signals) -> None:
    port = free_port()
    program = f"""
        import sys
        from tellapart.supervisor import Server, run
        page = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
        serve = f"import subprocess; subprocess.run({{page}}, stdout=subprocess.DEVNULL)"
        server = Server("nested", [sys.executable, "-c", serve], "127.0.0.1", {port}, "http://127.0.0.1:{port}/")
        run([server], lambda: print("ready", flush=True), lambda: print("stopping", flush=True))
        print("ended well", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=90)[0] == "stopping\nended well\n"
    assert not listens(port)


def test_one_port_for_two_servers_is_refused() -> None:
    port = free_port()
    command = [sys.executable, "-c", ""]
    with pytest.raises(UsageError, match=f"port {port} is set for the page and the service"):
        check_ports([Server(name, command, "127.0.0.1", port) for name in ("page", "service")])


def test_a_signal_that_comes_while_a_server_is_started_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = subprocess.Popen, list["subprocess.Popen[bytes]"]()

    def popen(*words: Any, **options: Any) -> "subprocess.Popen[bytes]":
        made.append(real(*words, **options))
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        return made[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    run([Server("first", command), Server("second", command)], lambda: None)
    (first,) = made
    assert first.poll() == -signal.SIGTERM


def test_a_signal_that_comes_before_anything_is_started_is_an_end_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    real, before = signal.signal, signal.getsignal(signal.SIGINT)

    def at_once(number: int, handler: Any) -> None:
        real(number, handler)
        if number == signal.SIGINT and handler not in (before, signal.SIG_IGN):
            signal.raise_signal(number)

    monkeypatch.setattr(signal, "signal", at_once)
    run([Server("never", ["false"])], lambda: pytest.fail("it is ready"))
    assert signal.getsignal(signal.SIGINT) is before
