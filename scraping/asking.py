"""Asking a source from an event loop: its generator runs in a thread of its own, one search at a time."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from scraping.source import Candidate, Source, Unavailable
from tellapart.names import ClassName

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

    async def search(self, class_name: ClassName, query: str) -> AsyncGenerator[Candidate, None]:
        """The source's candidates, each looked for when it is asked for; close it when done.

        Raises:
            SourceError: as the source says.
        """
        async with self._turn:
            if self._refusal:
                raise self._refusal
            found = self.source.search(class_name, query)
            try:
                while (candidate := await self._call(lambda: next(found, None))) is not None:
                    yield candidate
            except Unavailable as refusal:
                self._refusal = refusal
                raise
            finally:
                await self._call(found.close)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
