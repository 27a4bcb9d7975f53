"""Decoding what people put in apart, in a few processes at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from tellapart.crashes import Apart
from tellapart.errors import UsageError

AT_ONCE = 4  # uploads that decode at once in each worker of the page
_WAIT = 60.0  # seconds for one of them to end
_places = BoundedSemaphore(AT_ONCE)


@contextmanager
def decoding() -> Iterator[Apart]:
    """A process to decode pictures in, once it is one's turn.

    Raises:
        UsageError: the uploads of others took too long.
    """
    if not _places.acquire(timeout=_WAIT):
        raise UsageError("pictures of others are being taken in", "Try again in a minute")
    try:
        with Apart() as apart:
            yield apart
    finally:
        _places.release()
