"""Decoding pictures although some may crash a native decoder, and with it the process.

`CrashGuard` is for long work: the next run gets past them. A picture that is being decoded is marked by a file. A mark
that was left there is of a picture that a process died over, by its fault or not. Such a one is tried out apart, and
turned away where that dies too. `Apart` is for programs that nothing may end: it decodes in a process of its own.
"""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any, Self

from tellapart.errors import TellapartError
from tellapart.files import readable_disk_errors
from tellapart.images import ImageError, decode, sha256
from tellapart.metadata import preview
from tellapart.pictures import Picture, Reason, Rejected, inspect
from tellapart.stopping import STOP_SIGNALS

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 60  # seconds of processor time for a picture that is decoded apart
_SIZE, _SIDE = 8, 4  # bytes that say how many bytes a picture has, and how large its preview may be, 0 for none
_IN_COLOUR = 720  # pixels on the shorter side


class Stopped(TellapartError):
    """The process that decodes was ended, and not by a picture."""


class Apart:
    """Decodes pictures in a process of its own, which starts with the first one; for one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
        self._end()

    def inspect(self, data: bytes) -> Picture:
        """Decode a picture whole, in gray and in colour, and describe it.

        Raises:
            Rejected: it cannot be used; `reason` says why.
            Stopped: somebody ended the process.
        """
        return Picture(**self._told(data))

    def preview(self, data: bytes, longest_side: int) -> bytes:
        """As `metadata.preview`.

        Raises:
            Rejected, Stopped: as `inspect`.
        """
        return base64.b64decode(self._told(data, longest_side)["preview"])

    def _told(self, data: bytes, longest_side: int = 0) -> dict[str, Any]:
        told = self._ask(data, longest_side)
        if told is None:
            raise _ended_by(self._end())
        if "what" in told:
            raise Rejected(Reason(told["reason"]), told["what"])
        return told

    def _ask(self, data: bytes, longest_side: int) -> dict[str, Any] | None:
        """What the process answers, None where it ended."""
        if self._process and self._process.poll() is not None:  # while it waited, which is no fault of this picture
            self._end()
        self._process = self._process or _start()
        pictures, answers = self._process.stdin, self._process.stdout
        assert pictures
        assert answers
        with suppress(BrokenPipeError):
            pictures.write(len(data).to_bytes(_SIZE, "big") + longest_side.to_bytes(_SIDE, "big"))
            pictures.write(data)
            pictures.flush()
        line = answers.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _end(self) -> int:
        """End the process, where it has not ended; gives its exit code, below zero that of a signal."""
        if self._process is None:
            return 0
        with suppress(BrokenPipeError):
            self._process.communicate()
        code, self._process = self._process.returncode, None
        return code


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
        with self.watching(data):
            return inspect(data)

    @contextmanager
    def watching(self, data: bytes) -> Iterator[None]:
        """Decode a picture in here, in whatever way.

        Raises:
            Rejected: a process died over it, and one of its own died again, or says that it cannot be used.
            TellapartError: the mark cannot be written.
        """
        mark = self._marks / sha256(data)
        if mark.name in self._died_over:
            with self._alone, suppress(Stopped), Apart() as apart:
                apart.inspect(data)
        with readable_disk_errors(mark):
            self._marks.mkdir(parents=True, exist_ok=True)
            mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)


def _start() -> subprocess.Popen[bytes]:
    """A process that decodes, which Ctrl-C in a terminal does not reach; it ends when nobody can ask it any more."""
    command = [sys.executable, "-m", "tellapart.crashes"]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True)


def _ended_by(code: int) -> TellapartError:
    if code >= 0 or -code in STOP_SIGNALS:  # no picture sends these: people and machines that shut down do
        return Stopped("the process that decodes pictures was stopped", "Try again")
    return Rejected(Reason.TRUNCATED, f"decoding the picture ends the program ({signal.Signals(-code).name})")


def _answer(data: bytes, longest_side: int) -> dict[str, Any]:
    try:
        if longest_side:
            return {"preview": base64.b64encode(preview(data, longest_side)).decode()}
        picture = inspect(data)
        decode(data, _IN_COLOUR)
    except Rejected as error:
        return {"reason": error.reason, "what": error.what}
    except ImageError as error:
        return {"reason": error.fault, "what": error.what}
    return asdict(picture)


def main() -> None:
    """Answer each picture on stdin with a line on stdout, whatever decoding leads to."""
    asked = sys.stdin.buffer
    while size := asked.read(_SIZE):
        longest_side = int.from_bytes(asked.read(_SIDE), "big")
        signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
        print(json.dumps(_answer(asked.read(int.from_bytes(size, "big")), longest_side)), flush=True)


if __name__ == "__main__":
    main()
