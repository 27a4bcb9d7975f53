"""Filling a data set's classes from sources; it can be stopped at any moment and goes on where it stopped."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from itertools import product

from scraping.asking import Asker
from scraping.fetch import Fetcher
from scraping.intake import Intake
from scraping.queries import NO_QUERIES
from scraping.source import Candidate, NoResults, Source
from scraping.verdict import refuse_empty_classes
from tellapart.dataset import Dataset
from tellapart.errors import SourceError, TellapartError
from tellapart.manifest import Manifest
from tellapart.names import ClassName
from tellapart.pictures import Status
from tellapart.progress import Report, Stage
from tellapart.settings import Settings

CLASSES_AT_ONCE = 4
DOWNLOADS_PER_CLASS = 12


@dataclass(frozen=True)
class CollectSummary:
    """What a data set has after collecting.

    Attributes:
        kept: pictures by class slug.
        problems: one line for each source that failed on a class that has pictures all the same.
    """

    kept: dict[str, int]
    problems: tuple[str, ...]


def collect(
    dataset: Dataset,
    sources: Sequence[Source],
    per_class: int,
    settings: Settings,
    report: Report,
    queries: Mapping[str, Sequence[str]] = NO_QUERIES,
) -> CollectSummary:
    """Fill every class up to `per_class` kept pictures, asking the sources in order.

    Each source is asked for the class's name, then for its other `queries`, given by slug. Every
    attempt becomes a manifest row. Addresses that are settled are not fetched again, failed ones
    are. A search that was asked to the end is not asked again while the class has pictures and none
    of the search's downloads failed. Sources are closed at the end.

    Raises:
        SourceError: a class has no picture at the end; what the others got stays.
        TellapartError: the data set cannot be written.
    """
    with _first_of_group():
        return asyncio.run(_collect(dataset, sources, per_class, settings, report, queries))


async def _collect(
    dataset: Dataset,
    sources: Sequence[Source],
    per_class: int,
    settings: Settings,
    report: Report,
    queries: Mapping[str, Sequence[str]],
) -> CollectSummary:
    manifest = dataset.manifest
    with ExitStack() as stack:
        askers = [stack.enter_context(Asker(source)) for source in sources]
        async with Fetcher(settings) as fetcher:
            intake = stack.enter_context(Intake(dataset, fetcher))
            room = asyncio.Semaphore(CLASSES_AT_ONCE)
            fillings = [
                _Filling(c, queries.get(c.slug, ()), manifest, intake, per_class, report) for c in dataset.classes
            ]
            async with asyncio.TaskGroup() as classes:
                for filling in fillings:
                    classes.create_task(filling.run(askers, room))
    refuse_empty_classes({f.shelf.class_name: f.failures for f in fillings if not f.shelf.kept}, manifest)
    return CollectSummary(
        {f.shelf.class_name.slug: f.shelf.kept for f in fillings},
        tuple(f"{f.shelf.class_name.name}: {e}" for f in fillings for e in f.failures if not isinstance(e, NoResults)),
    )


class _Filling:
    """One class being filled."""

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
        self._queries = tuple(dict.fromkeys([class_name.name, *extra_queries]))
        self.failures: list[SourceError] = []
        self._manifest, self._intake, self._per_class, self._report = manifest, intake, per_class, report
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, askers: Sequence[Asker], room: asyncio.Semaphore) -> None:
        """Ask one source after the other, each for every query, until the class is full."""
        async with room:
            with Stage(self._report, f"collect {self.shelf.class_name.name}", self._per_class) as stage:
                stage.advance(self.shelf.kept, kept=self.shelf.kept)
                for asker, query in product(askers, self._queries):
                    if self.shelf.kept < self._per_class and not self._is_settled(asker.source, query):
                        await self._ask(asker, query, stage)

    def _is_settled(self, source: Source, query: str) -> bool:
        search = (self.shelf.class_name.slug, source.name, query)
        return (
            source.remembered
            and self.shelf.kept > 0
            and (source.name, query) not in self.shelf.failed_searches
            and search in self._manifest.finished_searches()
        )

    async def _ask(self, asker: Asker, query: str, stage: Stage) -> None:
        """Search one source, downloading as candidates come, and remember a search that came to its end."""
        async with asyncio.TaskGroup() as downloads:
            found = await self._pull(asker, query, downloads, stage)
        if found is not None:
            self._manifest.finish_search(self.shelf.class_name.slug, asker.source.name, query, found)

    async def _pull(self, asker: Asker, query: str, downloads: asyncio.TaskGroup, stage: Stage) -> int | None:
        """Start a download for each candidate while the class has room.

        Returns:
            How many candidates there were if the source was asked to its end, None otherwise.
        """
        found = 0
        try:
            async with aclosing(asker.search(self.shelf.class_name, query)) as candidates:
                while await self._has_room():
                    candidate = await anext(candidates, None)
                    if candidate is None:
                        return found
                    found += 1
                    self._start(candidate, asker.source.local, downloads, stage)
        except NoResults as nothing:
            self.failures.append(nothing)
            return 0
        except SourceError as failure:
            self.failures.append(failure)
        return None

    async def _has_room(self) -> bool:
        """Wait until one more download could be needed; False once the class is full."""
        while self.shelf.kept + len(self._running) >= self._per_class or len(self._running) >= DOWNLOADS_PER_CLASS:
            if not self._running:
                return False
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        return True

    def _start(self, candidate: Candidate, local: bool, downloads: asyncio.TaskGroup, stage: Stage) -> None:
        if candidate.url not in self.shelf.settled:
            self.shelf.settled.add(candidate.url)
            task = downloads.create_task(self._take(candidate, local, stage))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _take(self, candidate: Candidate, local: bool, stage: Stage) -> None:
        attempt = await self._intake.take(self.shelf, candidate, local)
        kept = attempt.status == Status.KEPT
        self.shelf.kept += kept
        stage.advance(int(kept), **{attempt.status.value: 1})


@contextmanager
def _first_of_group() -> Generator[None, None, None]:
    """Let the first error for people out of the group it was raised in."""
    try:
        yield
    except BaseExceptionGroup as group:
        wanted, _ = group.split(TellapartError)
        raise _leaf(wanted or group) from None


def _leaf(error: BaseException) -> BaseException:
    return _leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
