"""The worker: takes jobs from the queue and does them, one that trains and one that samples at a time.

`python -m webui.worker` serves the jobs of the settings' home until SIGTERM, which stops the job that runs,
with everything kept, and puts it back in the queue.
"""

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tellapart.errors import TellapartError
from tellapart.settings import Settings, load_settings
from webui import leftovers, mail
from webui.claims import Claims, this_process
from webui.database import Database
from webui.jobs import Kind
from webui.queue import Queue
from webui.runner import Runner

LOOK_SECONDS = 1.0
_HERE_SECONDS = 5.0
_SWEEP_SECONDS = 600.0
_STUCK_SECONDS = 900.0  # a job is looked at many times a second, but a mail server may take its time
_LANES = (frozenset(Kind), frozenset({Kind.SAMPLE}))  # what each thread may take, where the ones before it are busy
_SIGN = "tellapart-worker-"
_log = logging.getLogger(__name__)


class Worker:
    """Does jobs whenever it is woken; `ending` is set when it is told to end."""

    def __init__(self, settings: Settings) -> None:
        self.ending = threading.Event()
        self.queue = Queue(settings, self.work)
        self._settings = settings
        self._database = Database(settings)
        self._claims = Claims(self._database, settings.home / "web" / "locks", this_process())
        self._runner = Runner(self._claims, settings, self._told_to_end)
        self._lanes = [(threading.Lock(), kinds) for kinds in _LANES]
        self._signs: dict[int, float] = {}  # when each thread that works was last heard of
        self._said = -_HERE_SECONDS

    def work(self) -> None:
        """Do one job after the other until none is left that may run now."""
        for lane, kinds in self._lanes:
            if lane.acquire(blocking=False):
                try:
                    while not self._told_to_end() and self._do_next(kinds):
                        pass
                finally:
                    self._signs.pop(threading.get_ident())
                    lane.release()

    def look(self) -> None:
        """Say that it is there, take jobs back from workers that are gone, and wake up where a job waits.

        Where the database answered and none of its own threads is stuck, it also tells a container's health check.

        Raises:
            TellapartError: the database cannot be used.
        """
        now = time.monotonic()
        if now - self._said >= _HERE_SECONDS:
            self._claims.say_here()
            self._said = now
        self._claims.take_back_lost()
        waiting = self._claims.waiting()
        if all(now - sign < _STUCK_SECONDS for sign in tuple(self._signs.values())):
            beat()
        if waiting:
            self.queue.wake_if_empty()

    def sweep(self) -> None:
        """Send the mails that a worker before could not, and delete what is left over.

        Raises:
            TellapartError: the database cannot be used.
        """
        _forget_killed()
        mail.tell_due(self._claims, self._settings)
        leftovers.sweep(self._database, self._settings)

    def leave(self) -> None:
        """Say that it ends."""
        with suppress(OSError):
            _sign_of_life().unlink(missing_ok=True)
        with suppress(TellapartError):  # it is missed soon in any case
            self._claims.say_gone()

    def keep_on(self, task: Callable[[], None], seconds: float) -> None:
        """Do something now, and every so often until the end; what goes wrong is logged once, until it works again."""
        said, going_on = "", True
        while going_on:
            try:
                task()
                said = ""
            except TellapartError as error:
                if str(error) != said:
                    _log.error("%s", error)
                said = str(error)
            going_on = not self.ending.wait(seconds)

    def _told_to_end(self) -> bool:
        """Whether it ends; a thread that works asks again and again, and shows by it that it is not stuck."""
        self._signs[threading.get_ident()] = time.monotonic()
        return self.ending.is_set()

    def _do_next(self, kinds: frozenset[Kind]) -> bool:
        claim = self._claims.take(kinds)
        if claim is None:
            return False
        if self._runner.run(claim):
            mail.tell_due(self._claims, self._settings)
        return True


def beat() -> None:
    """Touch a file, whose age tells a container's health check that this process is not stuck."""
    with suppress(OSError):
        _sign_of_life().touch()


def _sign_of_life() -> Path:
    return Path(tempfile.gettempdir(), f"{_SIGN}{os.getpid()}")


def _forget_killed() -> None:
    """Delete the signs of workers that could not do so themselves."""
    for sign in Path(tempfile.gettempdir()).glob(f"{_SIGN}*"):
        number = sign.name.removeprefix(_SIGN)
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            with suppress(OSError):  # another user's
                sign.unlink(missing_ok=True)


def run(settings: Settings) -> None:
    """Serve jobs until SIGTERM.

    Raises:
        TellapartError: the database or the queue cannot be used.
    """
    worker = Worker(settings)
    worker.look()
    consumer = worker.queue.huey.create_consumer(
        workers=len(_LANES), periodic=False, max_delay=1.0, graceful_signal="TERM"
    )
    worker.ending = consumer.stop_flag
    for task, seconds in ((worker.look, LOOK_SECONDS), (worker.sweep, _SWEEP_SECONDS)):  # a sweep may take minutes
        threading.Thread(target=worker.keep_on, args=(task, seconds), name=task.__name__, daemon=True).start()
    try:
        consumer.run()
    finally:
        worker.leave()


def main() -> int:
    """Serve jobs as the environment's settings say; gives the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        run(load_settings())
    except TellapartError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
