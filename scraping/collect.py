"""Filling a data set's classes from sources; it can be stopped at any moment and goes on where it stopped."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from scraping.asking import Asker
from scraping.fetch import Fetcher
from scraping.filling import Filling
from scraping.intake import Intake
from scraping.queries import NO_QUERIES
from scraping.source import NoResults, Source
from scraping.verdict import refuse_empty_classes
from tellapart.dataset import Dataset
from tellapart.errors import TellapartError
from tellapart.files import sweep_parts
from tellapart.licenses import LicenseFilter
from tellapart.progress import Report
from tellapart.settings import Settings

CLASSES_AT_ONCE = 4


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
    wanted: LicenseFilter = LicenseFilter.ANY,
) -> CollectSummary:
    """Fill every class up to `per_class` kept pictures, asking the sources in order.

    Each source is asked for the class's name, then for its other `queries`, given by slug. No host gives
    more than its share of a class while others have pictures, local sources apart. Every attempt
    becomes a manifest row. Addresses that are settled are not fetched again, failed ones are. A search
    that was asked to the end is not asked again while the class has pictures and none of the search's
    downloads failed. Pictures of another licence than `wanted` are turned away. Sources are closed at the end.

    Raises:
        SourceError: a class has no picture at the end; what the others got stays.
        TellapartError: the data set cannot be written.
    """
    with _first_of_group():
        return asyncio.run(_collect(dataset, sources, per_class, settings, report, queries, wanted))


async def _collect(
    dataset: Dataset,
    sources: Sequence[Source],
    per_class: int,
    settings: Settings,
    report: Report,
    queries: Mapping[str, Sequence[str]],
    wanted: LicenseFilter,
) -> CollectSummary:
    asyncio.get_running_loop().set_exception_handler(_unless_interrupted)
    sweep_parts(dataset.root)
    manifest = dataset.manifest
    with ExitStack() as stack:
        askers = [stack.enter_context(Asker(source)) for source in sources]
        async with Fetcher(settings) as fetcher:
            intake = stack.enter_context(Intake(dataset, fetcher, wanted))
            room = asyncio.Semaphore(CLASSES_AT_ONCE)
            fillings = [
                Filling(c, queries.get(c.slug, ()), manifest, intake, per_class, report) for c in dataset.classes
            ]
            async with asyncio.TaskGroup() as classes:
                for filling in fillings:
                    classes.create_task(filling.run(askers, room))
    refuse_empty_classes({f.shelf.class_name: f.failures for f in fillings if not f.shelf.kept}, manifest)
    return CollectSummary(
        {f.shelf.class_name.slug: f.shelf.kept for f in fillings},
        tuple(f"{f.shelf.class_name.name}: {e}" for f in fillings for e in f.failures if not isinstance(e, NoResults)),
    )


def _unless_interrupted(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say what nobody waited for, but for Ctrl-C and SIGTERM: they end everything, and are told once."""
    if not isinstance(context.get("exception"), KeyboardInterrupt):
        loop.default_exception_handler(context)


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
