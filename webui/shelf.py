"""A folder of files that are kept for a while."""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tellapart.files import write_bytes
from webui.cache import KEEP_SECONDS

_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Shelf:
    """Files by key, each gone `keep` seconds after it was last put or touched; beyond `limit` the oldest go.

    Looking through the folder takes a moment, so it is done once for every few files that are put.
    """

    def __init__(
        self,
        folder: Path,
        suffix: str,
        limit: int,
        keep: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._suffix, self._limit, self._keep, self._clock = folder, suffix, limit, keep, clock
        self._until_sweep = 0

    def find(self, key: str) -> Path | None:
        """The file, None where there is none (any more)."""
        if not _KEY.fullmatch(key):
            return None
        path = self._path(key)
        return path if modified(path) >= self._oldest() else None

    def put(self, key: str, data: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            TellapartError: the disk is full or the folder cannot be written.
        """
        write_bytes(self._path(key), data, durable=False)
        self._until_sweep -= 1
        if self._until_sweep < 0:
            self.sweep()

    def touch(self, key: str) -> bool:
        """Keep a file from now on as if it were new; False where there is none."""
        try:
            os.utime(self._path(key))
        except FileNotFoundError:
            return False
        return True

    def keep_until(self, key: str, moment: float) -> None:
        """Keep a file until then (Unix time), however long files are kept otherwise."""
        with suppress(FileNotFoundError):
            os.utime(self._path(key), (moment - self._keep,) * 2)

    def remove(self, key: str) -> None:
        """Delete a file, if it is there."""
        self._path(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what is too old or too many; another process may be deleting the same."""
        ages = sorted(((modified(path), path) for path in self._folder.glob(f"*{self._suffix}")), reverse=True)
        oldest = self._oldest()
        for rank, (changed, path) in enumerate(ages):
            if rank >= self._limit or changed < oldest:
                path.unlink(missing_ok=True)
        self._until_sweep = self._limit // 20

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{self._suffix}"

    def _oldest(self) -> float:
        return self._clock() - self._keep


def modified(path: Path) -> float:
    """When a file was last written (Unix time); before all time where it is gone, as another process sweeps too."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("-inf")
