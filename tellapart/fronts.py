"""The fronts a Runner works for: how long it waits for one, and whom it tells that one was killed."""

import contextlib
import logging
import os
import signal
import threading
import time
from pathlib import Path

_NOBODY_CAME_S = 60.0  # time for a front to start, the first one or one in place of another
_ENDING_S, _POLL_S = 2.0, 0.05
_STARTS_NONE_AGAIN = ("BENTOML_CONTAINERIZED", "BENTOCLOUD_DEPLOYMENT_URL")  # with these BentoML's supervisor

_log = logging.getLogger(__name__)


class Fronts:
    """Counts fronts, all of one supervisor, whose process it is given. Safe for threads."""

    def __init__(self, supervisor: int) -> None:
        self._count, self._supervisor = 0, supervisor
        self._asked_for_more = False
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Return once fronts and supervisor have ended, or no front came for a minute."""
        with self._changed:
            while self._one_comes():
                self._changed.wait_for(lambda: self._count == 0)

    def _one_comes(self) -> bool:
        deadline = time.monotonic() + _NOBODY_CAME_S
        while not self._count and time.monotonic() < deadline:
            if has_ended(self._supervisor):
                break
            self._changed.wait(_POLL_S)
        return self._count > 0

    def came(self) -> None:
        """Count a front."""
        with self._changed:
            self._count, self._asked_for_more = self._count + 1, False
            self._changed.notify_all()

    def gone(self, front: int, killed: bool) -> None:
        """Count a front no more, by its process; where it was `killed`, have it replaced."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()
        if killed and _ends(front):  # one that lives has only closed its connection, and opens another
            self._replace(front)

    def _replace(self, front: int) -> None:
        """Have BentoML's supervisor start a front anew.

        All it can be asked for is to replace every front, and nobody answers until the first of them is there. So
        where others are left, it is left to find the gap by itself, within 10 s, unless it would start none again.
        """
        with self._changed:
            wanted = not self._count or any(name in os.environ for name in _STARTS_NONE_AGAIN)
            asked, self._asked_for_more = self._asked_for_more, wanted or self._asked_for_more
        if wanted and not asked:
            _log.warning("the front %d was killed; the supervisor %d is asked for another", front, self._supervisor)
            _reload(self._supervisor)


def _reload(supervisor: int) -> None:
    """Ask for a graceful reload, where it is BentoML's supervisor."""
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{supervisor}/cmdline").read_bytes()
        if b"bentoml" in command and b"serve" in command:
            os.kill(supervisor, signal.SIGHUP)


def _ends(process: int) -> bool:
    """Whether a process ends within some seconds; its sockets are closed a moment before it has."""
    for _ in range(round(_ENDING_S / _POLL_S)):
        if has_ended(process):
            return True
        time.sleep(_POLL_S)
    return False


def has_ended(process: int) -> bool:
    """Whether a process is no more, reaped or not. Of 0, one outside of this container, nobody can tell."""
    if not process:
        return False
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
