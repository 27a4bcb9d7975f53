"""From a candidate to a manifest row: download, judge, store, write down; the same way for every source."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from threading import Lock
from types import TracebackType

from scraping.failures import FetchFailed
from scraping.fetch import Fetcher
from scraping.recorder import Recorder
from scraping.shelf import Shelf
from scraping.source import Candidate, whole_text
from tellapart.crashes import CrashGuard
from tellapart.dataset import Dataset
from tellapart.hardware import cpus
from tellapart.licenses import LicenseFilter, admits
from tellapart.manifest import Attempt, now
from tellapart.names import ClassName
from tellapart.pictures import Reason, Rejected, Status

MOST_DECODED = 8  # pictures at once: one of 50 megapixels takes most of a gigabyte


class Intake:
    """Takes candidates in; use it as a context manager. Pictures are decoded and written in threads.

    What has another licence than is wanted is not fetched; one's own files need none.
    """

    def __init__(self, dataset: Dataset, fetcher: Fetcher, wanted: LicenseFilter = LicenseFilter.ANY) -> None:
        self._dataset, self._fetcher, self._wanted = dataset, fetcher, wanted
        self._manifest = dataset.manifest
        self._shelves: dict[str, Shelf] = {}
        self._reading = self._manifest
        self._turn = Lock()
        self._recorder = Recorder(self._manifest)
        self._guard = CrashGuard(dataset.cache)
        self._threads = ThreadPoolExecutor(min(cpus(), MOST_DECODED), thread_name_prefix="intake")
        self._stack = ExitStack()

    def __enter__(self) -> "Intake":
        self._stack.enter_context(self._recorder)
        self._reading = self._stack.enter_context(self._manifest.held_open())
        self._stack.enter_context(self._threads)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def shelf(self, class_name: ClassName) -> Shelf:
        """The shelf of a class, as the manifest has it when it is first asked for."""
        if class_name.slug not in self._shelves:
            self._shelves[class_name.slug] = Shelf(class_name, self._reading, self._turn)
        return self._shelves[class_name.slug]

    async def take(self, shelf: Shelf, candidate: Candidate, local: bool) -> Attempt:
        """One attempt, written to the manifest after its picture was stored.

        Where its bytes turn out to be a placeholder, the earlier attempts that kept them are set aside too.

        Raises:
            TellapartError: the data set cannot be written.
        """
        attempt = await self._attempt(shelf, candidate, local)
        written = await self._write_down(attempt)
        shelf.finish(attempt)
        return written

    async def _attempt(self, shelf: Shelf, candidate: Candidate, local: bool) -> Attempt:
        """What becomes of a candidate: its licence is looked at, its picture fetched, judged and stored."""
        attempt = _new_attempt(shelf.class_name, candidate)
        if not (admits(self._wanted, candidate.license) or candidate.url.startswith("file:")):
            return replace(attempt, reason=Reason.LICENSE, detail=candidate.license or "not known")
        try:
            fetched = await self._fetcher.fetch(candidate.location or candidate.url, local)
        except FetchFailed as failure:
            return replace(attempt, status=failure.status, reason=failure.reason, detail=whole_text(failure.what))
        attempt = replace(attempt, redirects=" ".join(fetched.redirects))
        work = partial(self._examine, shelf, attempt, fetched.data)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _examine(self, shelf: Shelf, attempt: Attempt, data: bytes) -> Attempt:
        """Judge a file that came, and store it where the class has no such bytes."""
        try:
            picture = self._guard.inspect(data)
        except Rejected as rejected:
            return replace(attempt, reason=rejected.reason, detail=rejected.what, bytes=len(data))
        attempt = attempt.with_picture(picture)
        if not shelf.claim(picture.sha256):
            return replace(attempt, reason=Reason.DUPLICATE)
        self._dataset.store(shelf.class_name.slug, picture, data)
        return replace(attempt, status=Status.KEPT, reason=Reason.OK)

    async def _write_down(self, attempt: Attempt) -> Attempt:
        """Add the attempt's row; where that shows its bytes to be a placeholder, the shelves lose what was kept."""
        changes = await self._recorder.write(attempt)
        for before, _ in changes:
            if before != attempt and before.status == Status.KEPT and before.class_slug in self._shelves:
                self._shelves[before.class_slug].kept -= 1
        return next((after for before, after in changes if before == attempt), attempt)


def _new_attempt(class_name: ClassName, candidate: Candidate) -> Attempt:
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
