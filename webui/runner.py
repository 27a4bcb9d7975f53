"""Running one job: its command in a process group of its own, followed line by line, stopped when it has to."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from tellapart.errors import TellapartError
from tellapart.settings import Settings
from webui.claims import LEASE, Claim, Claims
from webui.job_command import job_command
from webui.jobs import INPUT_REFUSED, Job, State

_log = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parent.parent
_WRITE_SECONDS = 0.5
_BEAT_SECONDS = 2.0
_STOP_SECONDS = 10.0
_DRAIN_SECONDS = 5.0
_MOST_POINTS = 500
_KEPT_TEXT = "What it had done is kept: press Resume to go on there"
_CHANGE_TEXT = "What it had done is kept: change what it was asked for, or the pictures"


@dataclass(frozen=True)
class Ended:
    """How a job ended; no state means that it goes back in the queue."""

    state: State | None
    error: str = ""
    fix: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


class Runner:
    """Does claimed jobs, one at a time; `stopping` says whether the worker is told to end."""

    def __init__(self, claims: Claims, settings: Settings, stopping: Callable[[], bool]) -> None:
        self._claims, self._settings, self._stopping = claims, settings, stopping

    def run(self, claim: Claim) -> Job | None:
        """Do a job to its end and write down how it ended; gives the job as it is then, None where it goes on later.

        Raises:
            TellapartError: the database cannot be used; the job's process is ended, and the job taken back later.
        """
        try:
            ended = self._work(claim)
            if ended.state is None:
                self._claims.give_back(claim.job)
                return None
            return self._claims.finish(claim.job, ended.state, ended.error, ended.fix, ended.result)
        finally:  # not before its end is written down: a job that nobody works on is taken back
            self._claims.release(claim)

    def _work(self, claim: Claim) -> Ended:
        try:
            with _start(claim, self._settings) as child:
                return self._follow(claim.job, child)
        except TellapartError:
            raise
        except Exception as error:  # so that no job hangs, and none is tried for ever
            _log.exception("job %s", claim.job.id)
            return Ended(State.FAILED, f"unexpected failure: {type(error).__name__}: {error}", _KEPT_TEXT)

    def _follow(self, job: Job, child: "_Child") -> Ended:
        """Write down what the process says, until it ends."""
        heard, beaten, written, state = time.monotonic(), 0.0, 0.0, State.RUNNING
        while not child.ended(wait=0.2):
            now = time.monotonic()
            with suppress(TellapartError):
                if now - beaten > _BEAT_SECONDS:
                    state = self._claims.beat(job) or State.STOPPING
                    beaten = heard = now
                if child.changed and now - written > _WRITE_SECONDS:
                    self._claims.record(job, child.take_stages())
                    written = now
            if state == State.STOPPING or self._stopping() or now - heard > LEASE.total_seconds() / 2:
                child.stop()
        if child.changed:
            self._claims.record(job, child.take_stages())
        return _ending(child, self._claims.beat(job) == State.STOPPING)


def _ending(child: "_Child", told_to_stop: bool) -> Ended:
    event = child.last.get("event")
    if event == "result":
        return Ended(State.DONE, result={k: v for k, v in child.last.items() if k != "event"})
    if told_to_stop:
        return Ended(State.STOPPED)
    if event == "error":
        code = child.last["exit_code"]
        fix = child.last["fix"] or (_CHANGE_TEXT if code in INPUT_REFUSED else _KEPT_TEXT)
        return Ended(State.FAILED, child.last["message"], fix, {"exit_code": code})
    if event == "stopped" or child.was_stopped:
        return Ended(None)
    return Ended(State.FAILED, f"the work ended unexpectedly ({child.how_it_ended()})", _KEPT_TEXT)


class _Child:
    """The process that does the work."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process, self._log = process, log
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._stages: dict[str, dict[str, Any]] = {}
        self._asked: float | None = None
        self._over: float | None = None
        self._silent = False
        self.last: dict[str, Any] = {}
        self.changed = False
        self._reader = Thread(target=self._read, name="job output", daemon=True)
        self._reader.start()

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        self._kill()
        self._reader.join(_STOP_SECONDS)
        with suppress(subprocess.TimeoutExpired):  # it hangs in the system; it keeps the lock file, and so its data set
            self._process.wait(_STOP_SECONDS)

    def ended(self, wait: float) -> bool:
        """Take in what the process says within so many seconds; True at its end.

        What it started may keep its output open after its end, and is not waited for long.
        """
        if self._silent:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)
        else:
            self._take_in(wait)
        if self._asked and time.monotonic() - self._asked > _STOP_SECONDS:
            self._kill()
        if self._process.poll() is None:
            return False
        self._over = self._over or time.monotonic()
        return self._silent or time.monotonic() - self._over > _DRAIN_SECONDS

    def _take_in(self, wait: float) -> None:
        with suppress(Empty):
            line = self._lines.get(timeout=wait)
            while line is not None:
                self._take(line)
                line = self._lines.get_nowait()
            self._silent = True

    def stop(self) -> None:
        """Ask the process to stop; one that takes too long is ended outright, which loses nothing."""
        if self._asked is None:
            self._asked = time.monotonic()
            with suppress(ProcessLookupError):
                self._process.terminate()

    @property
    def was_stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._asked is not None

    def take_stages(self) -> list[dict[str, Any]]:
        """How far each stage is."""
        self.changed = False
        return list(self._stages.values())

    def how_it_ended(self) -> str:
        """For people: the signal or status, and the last line of its messages."""
        code = self._process.returncode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
        said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        return ": ".join([how, *(line[:300] for line in said)])

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _take(self, line: str) -> None:
        try:
            value = json.loads(line)
            event = value.pop("event")
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if event != "progress":
            self.last = {"event": event, **value}
            return
        points = self._stages.get(value["stage"], {}).get("points", [])
        if measured := value.pop("values"):
            points = [*points, {"at": value["done"], **measured}][-_MOST_POINTS:]
        self._stages[value["stage"]] = {**value, "points": points}
        self.changed = True

    def _kill(self) -> None:
        """End the process and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _start(claim: Claim, settings: Settings) -> _Child:
    """Start a job's command; it ends when this process does, and holds the claim's lock file until it ends."""
    log = settings.home / "web" / "jobs" / f"{claim.job.id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tellapart.stopping", str(os.getpid()), *job_command(claim.job, settings)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, "TELLAPART_HOME": str(settings.home), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=[claim.lock],
        )
    return _Child(process, log)
