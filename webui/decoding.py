"""Decoding what people put in apart, in a few processes at once."""

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import Empty, LifoQueue
from threading import BoundedSemaphore

from tellapart.crashes import Apart
from tellapart.errors import Busy
from tellapart.hardware import cpus

AT_ONCE = 4  # uploads that decode at once in each worker of the page
_WAIT = 60.0  # seconds for one of them to end
_places = BoundedSemaphore(AT_ONCE)


@contextmanager
def decoding() -> Iterator[Apart]:
    """A process to decode pictures in, once it is one's turn.

    Raises:
        Busy: the uploads of others took too long.
    """
    if not _places.acquire(timeout=_WAIT):
        raise Busy("pictures of others are being taken in", "Try again in a minute")
    try:
        with Apart() as apart:
            yield apart
    finally:
        _places.release()


class Decoders:
    """As many processes as are needed at once, up to the number of cores; each is kept for what comes next."""

    def __init__(self) -> None:
        self._free: LifoQueue[Apart] = LifoQueue()
        ends = ExitStack()
        for _ in range(min(AT_ONCE, cpus())):
            self._free.put(ends.enter_context(Apart()))
        self.close = weakref.finalize(self, ends.close)  # by itself when the program ends, if not before

    @contextmanager
    def one(self) -> Iterator[Apart]:
        """A process to decode a picture in, once one is free.

        Raises:
            Busy: the pictures of others took too long.
        """
        try:
            apart = self._free.get(timeout=_WAIT)
        except Empty:
            raise Busy("many pictures are being looked at", "Try again in a minute") from None
        try:
            yield apart
        finally:
            self._free.put(apart)
