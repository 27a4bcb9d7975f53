"""Judging pictures although some may crash a native decoder, and with it the process: the next run gets past them.

A picture that is being decoded is marked by a file. A mark that was left there is of a picture that a process
died over, by its fault or not. Such a one is tried out in a process of its own, and turned away where that dies too.
"""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock

from tellapart.files import readable_disk_errors
from tellapart.images import sha256
from tellapart.pictures import Picture, Reason, Rejected, inspect

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 60  # seconds of processor time for a picture that is tried out
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # no picture does that: people and machines that shut down do


class CrashGuard:
    """Judges pictures as `pictures.inspect` does; safe for threads and processes."""

    def __init__(self, cache: Path) -> None:
        """Keeps its marks in a data set's `cache`, which may be deleted at any time."""
        self._marks = cache / "decoding"
        self._died_over = {mark.name for mark in self._marks.glob("*")}
        self._alone = Lock()  # of several large ones tried out together, one may be killed for another's memory

    def inspect(self, data: bytes) -> Picture:
        """Decode a picture whole and describe it.

        Raises:
            Rejected: it cannot be used; `reason` says why.
            TellapartError: the mark cannot be written.
        """
        mark = self._marks / sha256(data)
        if mark.name in self._died_over:
            with self._alone:
                _try_out(data)
        with readable_disk_errors(mark):
            self._marks.mkdir(parents=True, exist_ok=True)
            mark.touch()
        try:
            return inspect(data)
        finally:
            mark.unlink(missing_ok=True)


def _try_out(data: bytes) -> None:
    """Decode in a process of its own, which Ctrl-C in a terminal does not reach."""
    command = [sys.executable, "-m", "tellapart.crashes"]
    ended = subprocess.run(command, input=data, cwd=_ROOT, capture_output=True, start_new_session=True, check=False)
    if ended.returncode < 0 and -ended.returncode not in _STOPS:
        name = signal.Signals(-ended.returncode).name
        raise Rejected(Reason.TRUNCATED, f"decoding the picture ends the program ({name})")


def main() -> None:
    """Decode what comes on stdin, whatever that leads to."""
    signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
    with suppress(Rejected):
        inspect(sys.stdin.buffer.read())


if __name__ == "__main__":
    main()
