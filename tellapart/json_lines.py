"""Progress, result and error as JSON lines on stdout, for programs that run the command line.

Each line is an object with an `event`:

    {"event": "progress", "stage": "features", "done": 12, "total": 40, "unit": "pictures", "seconds": 0.4,
     "counts": {}, "note": "", "finished": false, "values": {}}
    {"event": "result", ...}                                            the last line of a run that succeeded
    {"event": "error", "message": ..., "fix": ..., "exit_code": 4}      the last line of one that failed
    {"event": "stopped"}                                                the last line of one that was told to stop
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from threading import Lock
from types import TracebackType
from typing import Any

from tellapart.errors import TellapartError
from tellapart.progress import Progress

MIN_INTERVAL = 0.1


class JsonLines:
    """Writes the lines; use it as a context manager and pass `report` on. Safe for threads.

    Of a stage that reports more often than every `MIN_INTERVAL` seconds, lines are left out, but never its
    first, its last, or one with values.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._written: dict[str, float] = {}

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._write("stopped")
        elif isinstance(error, Exception):
            self._write("error", **_describe(error))

    def report(self, progress: Progress) -> None:
        """Say how far a stage is."""
        now = self._clock()
        due = now - self._written.get(progress.stage, -MIN_INTERVAL) >= MIN_INTERVAL
        if due or progress.finished or progress.values:
            self._written[progress.stage] = now
            self._write("progress", **progress.to_json())

    def result(self, values: Mapping[str, Any], *shown: object) -> None:  # noqa: ARG002
        """Say what came out of the work; `shown` is for people."""
        self._write("result", **values)

    def _write(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values}, ensure_ascii=False) + "\n"
        with self._lock:
            sys.stdout.write(line)
            sys.stdout.flush()


def _describe(error: Exception) -> dict[str, Any]:
    if isinstance(error, TellapartError):
        return {"message": error.what, "fix": error.fix, "exit_code": error.exit_code}
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return {"message": f"unexpected failure: {what}", "fix": "", "exit_code": 1}
