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
from scraping.placeholders import Change, find_placeholders
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
        self._shelves: dict[str, Shelf] = {}
        self._setting_aside = asyncio.Lock()
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="intake")

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown()

    def shelf(self, class_name: ClassName) -> Shelf:
        """The shelf of a class, as the manifest has it when it is first asked for."""
        return self._shelves.setdefault(class_name.slug, Shelf(class_name, self._manifest))

    async def take(self, shelf: Shelf, candidate: Candidate, local: bool) -> Attempt:
        """One attempt, written to the manifest after its picture was stored.

        Where its bytes turn out to be a placeholder, the earlier attempts that kept them are set aside too.

        Raises:
            TellapartError: the data set cannot be written.
        """
        attempt, data = _attempt(shelf.class_name, candidate), b""
        try:
            fetched = await self._fetcher.fetch(candidate.location or candidate.url, local)
            attempt, data = replace(attempt, redirects=" ".join(fetched.redirects)), fetched.data
            picture = await self._in_thread(lambda: inspect(data))
        except FetchFailed as failure:
            attempt = replace(attempt, status=failure.status, reason=failure.reason, detail=failure.what)
        except Rejected as rejected:
            attempt = replace(attempt, reason=rejected.reason, detail=rejected.what, bytes=len(data))
        else:
            attempt = _judge(shelf, attempt.with_picture(picture))
            if attempt.status == Status.KEPT:
                await self._in_thread(lambda: self._dataset.store(shelf.class_name.slug, picture, data))
        return await self._write_down(attempt)

    async def _write_down(self, attempt: Attempt) -> Attempt:
        """Add the attempt's row; where that shows its bytes to be a placeholder, set all rows of them aside."""
        if not await self._in_thread(lambda: self._add(attempt)):
            return attempt
        async with self._setting_aside:
            changes = await self._in_thread(lambda: self._set_aside(attempt.sha256))
        for before, _ in changes:
            if before != attempt and before.status == Status.KEPT and before.class_slug in self._shelves:
                self._shelves[before.class_slug].kept -= 1
        return next((after for before, after in changes if before == attempt), attempt)

    def _add(self, attempt: Attempt) -> bool:
        self._manifest.add([attempt])
        return bool(attempt.sha256 and find_placeholders(self._manifest.with_digest(attempt.sha256)))

    def _set_aside(self, digest: str) -> list[Change]:
        changes = find_placeholders(self._manifest.with_digest(digest))
        self._manifest.add(after for _, after in changes)
        return changes

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
