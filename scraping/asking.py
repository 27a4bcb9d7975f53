"""Asking a source from an event loop: its generator runs in a thread of its own, one search at a time."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TypeVar

from scraping.source import Candidate, Source, Unavailable
from tellapart.errors import SourceError
from tellapart.names import ClassName

_AT_ONCE = 16
_QUICK = 0.02

T = TypeVar("T")


class Asker:
    """Turns one source's searches into asynchronous ones; use it as a context manager.

    A source that said it is unavailable is not asked again. At the end the source is closed, in the
    thread that its searches ran in.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="source")
        self._turn = asyncio.Lock()
        self._refusal: Unavailable | None = None

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._thread:
            self._thread.submit(self.source.close).result()

    async def search(
        self, class_name: ClassName, query: str, wanted: Callable[[], int]
    ) -> AsyncGenerator[Candidate, None]:
        """The source's candidates; close it when done.

        Where the next are at hand, several are taken at once, but never more than are `wanted` at that time.

        Raises:
            SourceError: as the source says.
        """
        async with self._turn:
            if self._refusal:
                raise self._refusal
            found = self.source.search(class_name, query)
            try:
                at_hand = _AtHand(found)
                while candidates := await self._call(partial(at_hand.take, wanted())):
                    for candidate in candidates:
                        yield candidate
            except Unavailable as refusal:
                self._refusal = refusal
                raise
            finally:
                await self._call(found.close)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _AtHand:
    """Takes several candidates of a search in one go, while they come quickly."""

    def __init__(self, found: Iterator[Candidate]) -> None:
        self._found = found
        self._failure: SourceError | None = None

    def take(self, wanted: int) -> list[Candidate]:
        """The next candidates, none at the end; what failed is raised after those that came before it."""
        taken: list[Candidate] = []
        stop = time.monotonic() + _QUICK
        try:
            if self._failure:
                raise self._failure
            for candidate in islice(self._found, max(1, min(wanted, _AT_ONCE))):
                taken.append(candidate)
                if time.monotonic() > stop:
                    break
        except SourceError as failure:
            if not taken:
                raise
            self._failure = failure
        return taken
