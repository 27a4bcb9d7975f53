"""Filling one class with pictures from one source after the other."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import product

from scraping.asking import Asker
from scraping.host_share import HostShare
from scraping.intake import Intake
from scraping.source import Candidate, NoResults, Source
from tellapart.errors import SourceError
from tellapart.manifest import Manifest
from tellapart.names import ClassName
from tellapart.pictures import Reason, Status, in_words
from tellapart.progress import Report, Stage

DOWNLOADS_PER_CLASS = 12


@dataclass(frozen=True)
class _Search:
    """A source asked for one query, and a search of it that came to its end: how many candidates it had."""

    source: str
    query: str
    found: int


class Filling:
    """One class being filled.

    Sources are asked in order, each for every query, and no host gives more than its share of the
    class. Candidates beyond that are held back and tried last, where the class has room for them still.
    """

    def __init__(
        self,
        class_name: ClassName,
        extra_queries: Sequence[str],
        manifest: Manifest,
        intake: Intake,
        per_class: int,
        report: Report,
    ) -> None:
        self.shelf = intake.shelf(class_name)
        self.failures: list[SourceError] = []
        self._queries = tuple(dict.fromkeys([class_name.name, *extra_queries]))
        self._manifest, self._intake, self._per_class, self._report = manifest, intake, per_class, report
        self._share = HostShare(per_class, manifest.kept_urls(class_name.slug))
        self._held_back: dict[str, Candidate] = {}
        self._ended: list[_Search] = []
        self._running: set[asyncio.Task[None]] = set()
        self._not_taken: Counter[Reason] = Counter()

    async def run(self, askers: Sequence[Asker], room: asyncio.Semaphore) -> None:
        """Ask one source after the other, each for every query, until the class is full."""
        async with room:
            with Stage(self._report, f"collect {self.shelf.class_name.name}", self._per_class) as stage:
                stage.advance(self.shelf.kept, kept=self.shelf.kept)
                searches = list(product(askers, self._queries))
                while searches and self.shelf.kept < self._per_class:
                    searches = await self._go_through(searches, stage)
                if self._not_taken:
                    stage.note(f"not taken: {in_words(self._not_taken)}")

    async def _go_through(self, searches: Sequence[tuple[Asker, str]], stage: Stage) -> list[tuple[Asker, str]]:
        """Ask each search in its turn, then try what was held back; gives the searches that had more."""
        unfinished = []
        for asker, query in searches:
            if (
                self.shelf.kept < self._per_class
                and not self._is_settled(asker.source, query)
                and await self._ask(asker, query, stage)
            ):
                unfinished.append((asker, query))
        await self._take_held_back(stage)
        self._remember_searches()
        return unfinished

    def _is_settled(self, source: Source, query: str) -> bool:
        search = (self.shelf.class_name.slug, source.name, query)
        return (
            source.remembered
            and self.shelf.kept > 0
            and (source.name, query) not in self.shelf.open_searches
            and search in self._manifest.finished_searches()
        )

    async def _ask(self, asker: Asker, query: str, stage: Stage) -> bool:
        """Search one source, downloading as candidates come; gives whether it may have more."""
        failures = len(self.failures)
        async with asyncio.TaskGroup() as downloads:
            found = await self._pull(asker, query, downloads, stage)
        if found is not None and asker.source.remembered:
            self._ended.append(_Search(asker.source.name, query, found))
            self._remember_searches()
        return found is None and len(self.failures) == failures

    def _remember_searches(self) -> None:
        """Write down the searches that came to their end with none of their candidates held back."""
        waiting = {(c.source, c.query) for c in self._held_back.values()}
        for search in [s for s in self._ended if (s.source, s.query) not in waiting]:
            self._manifest.finish_search(self.shelf.class_name.slug, search.source, search.query, search.found)
            self._ended.remove(search)

    async def _pull(self, asker: Asker, query: str, downloads: asyncio.TaskGroup, stage: Stage) -> int | None:
        """Start a download for each candidate while the class has room, beside what of this search is held back.

        Returns:
            How many candidates there were if the source was asked to its end, None otherwise.
        """
        found, before = 0, len(self._held_back)

        def wanted() -> int:
            return self._per_class - self._filled - (len(self._held_back) - before)

        try:
            async with aclosing(asker.search(self.shelf.class_name, query, wanted)) as candidates:
                while await self._has_room(len(self._held_back) - before):
                    candidate = await anext(candidates, None)
                    if candidate is None:
                        return found
                    found += 1
                    self._consider(candidate, asker.source.local, downloads, stage)
        except NoResults as nothing:
            self.failures.append(nothing)
            return 0
        except SourceError as failure:
            self.failures.append(failure)
        return None

    async def _has_room(self, held_back: int = 0) -> bool:
        """Wait until one more download could be needed; False once the class is full, with what is held back."""
        while self._filled + held_back >= self._per_class or len(self._running) >= DOWNLOADS_PER_CLASS:
            if not self._running:
                return False
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        return True

    @property
    def _filled(self) -> int:
        return self.shelf.kept + len(self._running)

    def _consider(self, candidate: Candidate, local: bool, downloads: asyncio.TaskGroup, stage: Stage) -> None:
        if candidate.url in self._held_back or self.shelf.is_settled(candidate.url):
            return
        if local or self._share.has_room(candidate.url):
            self._start(candidate, local, downloads, stage)
        else:
            self._held_back[candidate.url] = candidate

    async def _take_held_back(self, stage: Stage) -> None:
        """Try what was held back for its host's share: a class is better filled from one site than not at all."""
        async with asyncio.TaskGroup() as downloads:
            for candidate in list(self._held_back.values()):
                if not await self._has_room():
                    break
                del self._held_back[candidate.url]
                self._start(candidate, False, downloads, stage)

    def _start(self, candidate: Candidate, local: bool, downloads: asyncio.TaskGroup, stage: Stage) -> None:
        self.shelf.start(candidate.url)
        self._share.take(candidate.url)
        task = downloads.create_task(self._take(candidate, local, stage))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _take(self, candidate: Candidate, local: bool, stage: Stage) -> None:
        attempt = await self._intake.take(self.shelf, candidate, local)
        kept = attempt.status == Status.KEPT
        self.shelf.kept += kept
        if not kept:
            self._not_taken[attempt.reason] += 1
            self._share.give_back(candidate.url)
        stage.advance(int(kept), **{attempt.status.value: 1})
