"""From a candidate to a manifest row: download, judge, store, write down; the same way for every source."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from scraping.failures import FetchFailed
from scraping.fetch import Fetcher
from scraping.source import Candidate
from tellapart.dataset import Dataset
from tellapart.manifest import Attempt, Manifest, now
from tellapart.names import ClassName
from tellapart.pictures import Reason, Rejected, Status, inspect

T = TypeVar("T")


class Shelf:
    """What one class has: how many pictures are kept, which bytes it knows, which addresses are settled."""

    def __init__(self, class_name: ClassName, manifest: Manifest) -> None:
        attempts = manifest.attempts(class_name.slug)
        self.class_name = class_name
        self.kept = sum(a.status == Status.KEPT for a in attempts)
        self.digests = {a.sha256 for a in attempts if a.sha256}
        self.settled = {a.url for a in attempts if a.status != Status.FAILED}
        self.failed_searches = {(a.source, a.query) for a in attempts if a.status == Status.FAILED}


class Intake:
    """Takes candidates in; use it as a context manager. Pictures are decoded and written in threads."""

    def __init__(self, dataset: Dataset, fetcher: Fetcher) -> None:
        self._dataset, self._fetcher = dataset, fetcher
        self._manifest = dataset.manifest
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="intake")

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown()

    async def take(self, shelf: Shelf, candidate: Candidate, local: bool) -> Attempt:
        """One attempt, written to the manifest after its picture was stored.

        Raises:
            TellapartError: the data set cannot be written.
        """
        attempt, data = _attempt(shelf.class_name, candidate), b""
        try:
            data = await self._fetcher.fetch(candidate.location or candidate.url, local)
            picture = await self._in_thread(lambda: inspect(data))
        except FetchFailed as failure:
            attempt = replace(attempt, status=failure.status, reason=failure.reason, detail=failure.what)
        except Rejected as rejected:
            attempt = replace(attempt, reason=rejected.reason, detail=rejected.what, bytes=len(data))
        else:
            attempt = _judge(shelf, attempt.with_picture(picture))
            if attempt.status == Status.KEPT:
                await self._in_thread(lambda: self._dataset.store(shelf.class_name.slug, picture, data))
        await self._in_thread(lambda: self._manifest.add([attempt]))
        return attempt

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _judge(shelf: Shelf, attempt: Attempt) -> Attempt:
    """Keep a usable picture unless the class has these bytes; runs in the event loop, so no two are judged at once."""
    if attempt.sha256 in shelf.digests:
        return replace(attempt, reason=Reason.DUPLICATE)
    shelf.digests.add(attempt.sha256)
    return replace(attempt, status=Status.KEPT, reason=Reason.OK)


def _attempt(class_name: ClassName, candidate: Candidate) -> Attempt:
    return Attempt(
        url=candidate.url,
        class_slug=class_name.slug,
        status=Status.REJECTED,
        reason=Reason.NOT_AN_IMAGE,
        source=candidate.source,
        query=candidate.query,
        rank=candidate.rank,
        page_url=candidate.page_url,
        license=candidate.license,
        license_url=candidate.license_url,
        author=candidate.author,
        attribution=candidate.attribution,
        fetched_at=now(),
    )
