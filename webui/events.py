"""Server-sent events about a job, as https://html.spec.whatwg.org/multipage/server-sent-events.html has them.

Streams are few, as each holds one of the server's threads; a page that gets none asks again and again instead.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import BoundedSemaphore

MOST_STREAMS = 4  # of the sixteen threads of a process
LONGEST_SECONDS = 240.0  # then the browser comes back and goes on after the last event it had
_LOOK_SECONDS = 0.5
_BEAT_SECONDS = 5.0
_RETRY_MILLISECONDS = 2000
_room = BoundedSemaphore(MOST_STREAMS)


@dataclass(frozen=True)
class Now:
    """What there is to show: its number, which changes when it does, and whether nothing more will come."""

    number: str
    html: Callable[[], str]
    final: bool


class Stream:
    """One stream; `close` (also called when it is read to the end) makes room for another."""

    def __init__(self, look: Callable[[], Now | None], seen: str, room: BoundedSemaphore) -> None:
        """`look` gives None where there is nothing any more; `seen` is the number of the last event that came."""
        self._events, self._room = _events(look, seen), room
        self._open = True

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self._events
        finally:
            self.close()

    def close(self) -> None:
        """Make room for another; closing again does nothing."""
        if self._open:
            self._open = False
            self._room.release()


def open_stream(look: Callable[[], Now | None], seen: str) -> Stream | None:
    """A stream, None where there are as many as may be."""
    room = _room
    return Stream(look, seen, room) if room.acquire(blocking=False) else None


def _events(look: Callable[[], Now | None], seen: str) -> Iterator[str]:
    began, parent = time.monotonic(), os.getppid()
    spoke = began
    yield f"retry: {_RETRY_MILLISECONDS}\n\n"
    while time.monotonic() - began < LONGEST_SECONDS and os.getppid() == parent:  # else the server was killed
        now = look()
        if now is None:
            break
        if now.number != seen:
            seen, spoke = now.number, time.monotonic()
            yield _event("state", now.number, now.html())
        if now.final:
            break
        if time.monotonic() - spoke > _BEAT_SECONDS:
            spoke = time.monotonic()
            yield ": still here\n\n"
        time.sleep(_LOOK_SECONDS)
    else:
        return
    yield _event("end", seen, "")


def _event(name: str, number: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\nid: {number}\n{lines}\n"
