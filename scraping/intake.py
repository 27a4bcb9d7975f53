"""From a candidate to a manifest row: download, judge, store, write down; the same way for every source."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from threading import Lock
from types import TracebackType

from scraping.failures import FetchFailed
from scraping.fetch import Fetcher
from scraping.recorder import Recorder
from scraping.source import Candidate, whole_text
from tellapart.dataset import Dataset
from tellapart.licenses import LicenseFilter, admits
from tellapart.manifest import Attempt, Manifest, now
from tellapart.names import ClassName
from tellapart.pictures import Reason, Rejected, Status, inspect


class Shelf:
    """What one class has: how many pictures are kept, which bytes it knows, which addresses are settled."""

    def __init__(self, class_name: ClassName, manifest: Manifest) -> None:
        attempts = manifest.attempts(class_name.slug)
        self.class_name = class_name
        self.kept = sum(a.status == Status.KEPT for a in attempts)
        # a copy's row may have been written, and the run killed, before the row of the picture it is a copy of
        self._digests = {a.sha256 for a in attempts if a.sha256 and a.reason != Reason.DUPLICATE}
        # another run may ask for other licences, so what one turned away is looked at again
        open_ = [a for a in attempts if a.status == Status.FAILED or a.reason == Reason.LICENSE]
        self.settled = {a.url for a in attempts} - {a.url for a in open_}
        self.failed_searches = {(a.source, a.query) for a in open_}
        self._claiming = Lock()

    def claim(self, digest: str) -> bool:
        """Whether these bytes are new to the class; only the first to ask is told so. Safe for threads."""
        with self._claiming:
            new = digest not in self._digests
            self._digests.add(digest)
        return new


class Intake:
    """Takes candidates in; use it as a context manager. Pictures are decoded and written in threads.

    What has another licence than is wanted is not fetched; one's own files need none.
    """

    def __init__(self, dataset: Dataset, fetcher: Fetcher, wanted: LicenseFilter = LicenseFilter.ANY) -> None:
        self._dataset, self._fetcher, self._wanted = dataset, fetcher, wanted
        self._manifest = dataset.manifest
        self._shelves: dict[str, Shelf] = {}
        self._recorder = Recorder(self._manifest)
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="intake")
        self._stack = ExitStack()

    def __enter__(self) -> "Intake":
        self._stack.enter_context(self._recorder)
        self._stack.enter_context(self._threads)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def shelf(self, class_name: ClassName) -> Shelf:
        """The shelf of a class, as the manifest has it when it is first asked for."""
        return self._shelves.setdefault(class_name.slug, Shelf(class_name, self._manifest))

    async def take(self, shelf: Shelf, candidate: Candidate, local: bool) -> Attempt:
        """One attempt, written to the manifest after its picture was stored.

        Where its bytes turn out to be a placeholder, the earlier attempts that kept them are set aside too.

        Raises:
            TellapartError: the data set cannot be written.
        """
        attempt = _attempt(shelf.class_name, candidate)
        if not (admits(self._wanted, candidate.license) or candidate.url.startswith("file:")):
            why = replace(attempt, reason=Reason.LICENSE, detail=candidate.license or "not known")
            return await self._write_down(why)
        try:
            fetched = await self._fetcher.fetch(candidate.location or candidate.url, local)
        except FetchFailed as failure:
            attempt = replace(attempt, status=failure.status, reason=failure.reason, detail=whole_text(failure.what))
        else:
            attempt = replace(attempt, redirects=" ".join(fetched.redirects))
            work = partial(self._examine, shelf, attempt, fetched.data)
            attempt = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        return await self._write_down(attempt)

    def _examine(self, shelf: Shelf, attempt: Attempt, data: bytes) -> Attempt:
        """Judge a file that came, and store it where the class has no such bytes."""
        try:
            picture = inspect(data)
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
