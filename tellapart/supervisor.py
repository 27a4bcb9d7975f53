"""Running several server processes as one: started together, stopped together."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tellapart.errors import TellapartError, UsageError
from tellapart.hardware import cpus
from tellapart.stopping import STOP_SIGNALS, end_with_parent, let_signals_come, signals_held
from tellapart.wording import counted

_STOP_SECONDS = 15.0
_ORPHAN_SECONDS = 3.0
_READY_SECONDS = 900.0  # a busy machine takes minutes to import torch, and compiling takes some too
_PATIENCE_SECONDS = 60.0  # after which people are told that it still starts
LEAST_SECONDS = 10.0


@dataclass(frozen=True)
class Server:
    """A process to run.

    Attributes:
        name: for people.
        setting: what changes its port, for people.
        command: what to run.
        host, port: where it listens; refused before anything starts when taken. Port 0: it listens nowhere.
        ready_url: answers with status 200 once the server can be used; "" where it is ready when it runs.
        again: start it again when it ends by itself, as what it does is not lost with it.
        environment: added to ours.
        folder: where it runs.
    """

    name: str
    command: Sequence[str]
    host: str = ""
    port: int = 0
    ready_url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    setting: str = "its setting"
    folder: Path = field(default_factory=Path.cwd)
    again: bool = False


@dataclass
class _Running:
    """A server and its process; `began` is when that was last started."""

    server: Server
    process: subprocess.Popen[bytes]
    began: float


class _Stop(Exception):
    """Ctrl-C or a termination signal came."""


def check_port(host: str, port: int, what: str, fix: str) -> None:
    """Refuse a port that somebody listens on.

    Raises:
        UsageError: it is taken, or the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(f"port {port} for {what} cannot be used on {host}: {error.strerror}", fix) from error


def check_ports(servers: Sequence[Server]) -> None:
    """Refuse ports that somebody listens on, and one for two servers.

    Raises:
        UsageError: as `check_port`.
    """
    taken: dict[int, Server] = {}
    for server in servers:
        if server.port and (other := taken.setdefault(server.port, server)) is not server:
            raise UsageError(
                f"port {server.port} is set for the {other.name} and the {server.name}",
                f"Choose another with {server.setting}",
            )
    for server in servers:
        if server.port:
            fix = f"Stop what uses it, or choose another port with {server.setting}"
            check_port(server.host, server.port, f"the {server.name}", fix)


def run(
    servers: Sequence[Server],
    ready: Callable[[], None],
    stopping: Callable[[], None] = lambda: None,
    waiting: Callable[[str], None] = lambda _: None,
) -> None:
    """Start the servers in order, call `ready` when all answer, and keep them until a signal or one ends.

    Every process started here is stopped before this returns, also after an error; `stopping` is called when a
    signal has come, before they are. `waiting` gets a line for each minute that one takes to start.

    Raises:
        UsageError: a port is taken.
        TellapartError: a server ended by itself or did not become ready.
    """
    check_ports(servers)
    running: list[_Running] = []
    with contextlib.suppress(_Stop), _signals():
        try:
            for server in servers:
                with signals_held():  # what is started is also noted
                    running.append(_Running(server, _start(server), time.monotonic()))
            for one in running:
                _wait_ready(one.server, running, waiting)
            ready()
            while True:
                _keep_alive(running)
                time.sleep(0.5)
        except _Stop:
            stopping()
        finally:
            _stop_all([one.process for one in running])


def _start(server: Server) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(server.command),
        cwd=server.folder,
        env={**os.environ, **server.environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_begin,  # noqa: PLW1509 (no threads run when servers are started)
    )


def _begin() -> None:
    end_with_parent()
    let_signals_come()


def _wait_ready(server: Server, running: Sequence[_Running], waiting: Callable[[str], None]) -> None:
    if not server.ready_url:
        return
    with httpx.Client(trust_env=False, timeout=2) as client:
        began, told = time.monotonic(), _PATIENCE_SECONDS
        while (waited := time.monotonic() - began) < _READY_SECONDS:
            _keep_alive(running)
            with contextlib.suppress(httpx.HTTPError):
                if client.get(server.ready_url).status_code == 200:
                    return
            if waited >= told:
                told += _PATIENCE_SECONDS
                waiting(
                    f"the {server.name} is not ready after {waited:.0f} s, and has {_READY_SECONDS:.0f} s ({_load()})"
                )
            time.sleep(0.1)
    fix = "See its messages above; TELLAPART_LOG=info shows more of the service's"
    raise TellapartError(f"the {server.name} was not ready after {_READY_SECONDS:.0f} s ({_load()})", fix)


def _load() -> str:
    """How busy this machine is, for people: above one a core, everything takes that many times as long."""
    return f"load {os.getloadavg()[0]:.0f} on {counted(cpus(), 'core')}"


def _keep_alive(running: Sequence[_Running]) -> None:
    """Start again what may be; anything else that ended is an error, and so is what ends as soon as it started."""
    for one in running:
        if (status := one.process.poll()) is None:
            continue
        if not one.server.again or time.monotonic() - one.began < LEAST_SECONDS:
            raise TellapartError(f"the {one.server.name} ended with status {status}", "See its messages above")
        with signals_held():
            one.process, one.began = _start(one.server), time.monotonic()


def _stop_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask every server to stop, wait a while, and end what is left of what it started.

    A second Ctrl-C does not cut this off.
    """
    _ignore_signals()
    below = [part for process in processes for part in _below(process.pid)]
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    _wait(processes, _STOP_SECONDS)
    _end([part for part in below if part.is_running()], psutil.Process.terminate)
    _, left = psutil.wait_procs(below, _ORPHAN_SECONDS)
    _end(left, psutil.Process.kill)
    for process in processes:
        process.kill()
        process.wait()


def _below(pid: int) -> list[psutil.Process]:
    """All processes that one started and these started; servers start workers in sessions of their own."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _wait(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))


def _end(processes: Sequence[psutil.Process], how: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            how(process)


def _ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    def stop(*_: object) -> None:
        _ignore_signals()
        raise _Stop

    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    try:
        for number in STOP_SIGNALS:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in zip(STOP_SIGNALS, before, strict=True):
            signal.signal(number, handler)
