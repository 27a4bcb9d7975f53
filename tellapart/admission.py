"""How much may be in the service at once. Beyond it the answer is no, and it comes at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from tellapart.meters import Meters
from tellapart.wire import ServiceError


class Admission:
    """Counts what is being worked on.

    Args:
        what: for people, in the plural.
        most: of it at once.
    """

    def __init__(self, what: str, most: int, meters: Meters) -> None:
        self._what, self._most, self._meters = what, most, meters
        self._inside = 0

    def check(self, count: int = 1) -> None:
        """Refuse what there is no room for. What is more than ever fits gets in where nothing else is.

        Raises:
            ServiceError: `overloaded`.
        """
        if self._inside and self._inside + count > self._most:
            self._meters.refused.inc()
            raise ServiceError("overloaded", f"too many {self._what} are waiting. Try again in a moment")

    @contextmanager
    def admit(self, count: int = 1) -> Iterator[None]:
        """Count something in while it is worked on.

        Raises:
            ServiceError: as `check`.
        """
        self.check(count)
        self._add(count)
        try:
            yield
        finally:
            self._add(-count)

    def _add(self, count: int) -> None:
        self._inside += count
        self._meters.waiting.inc(count)
