"""Writing attempts down in the manifest, many in one transaction."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock
from types import TracebackType

from scraping.placeholders import Change, find_placeholders
from tellapart.manifest import Attempt, Manifest


class Recorder:
    """Adds rows from a thread of its own, on one connection; use it as a context manager.

    Rows that come while others are being written wait and are then written together, so that a slow
    disk makes batches larger instead of collecting slower.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._stack = ExitStack()
        self._lock = Lock()
        self._waiting: list[Attempt] = []
        self._written: asyncio.Future[list[list[Change]]]

    def __enter__(self) -> "Recorder":
        self._manifest = self._stack.enter_context(self._manifest.held_open())
        self._stack.enter_context(self._thread)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    async def write(self, attempt: Attempt) -> list[Change]:
        """Add an attempt's row; on return it is in the manifest.

        Returns:
            The rows, with it or earlier, that were set aside because it shows their bytes to be a placeholder.

        Raises:
            TellapartError: the manifest cannot be written.
        """
        with self._lock:
            place = len(self._waiting)
            self._waiting.append(attempt)
            if not place:
                self._written = asyncio.wrap_future(self._thread.submit(self._write_waiting))
            written = self._written
        return (await asyncio.shield(written))[place]

    def _write_waiting(self) -> list[list[Change]]:
        with self._lock:
            batch, self._waiting = self._waiting, []
        self._manifest.add(batch)
        return [self._set_aside(attempt.sha256) for attempt in batch]

    def _set_aside(self, digest: str) -> list[Change]:
        changes = find_placeholders(self._manifest.with_digest(digest)) if digest else []
        if changes:
            self._manifest.add(after for _, after in changes)
        return changes
