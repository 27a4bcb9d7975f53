"""Results come in rounds: pages of an API, or helpings of a page that grows as one scrolls."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

from scraping.source import Candidate
from tellapart.errors import SourceError

ROUNDS_WITHOUT_NEW = 3


def ranked(rounds: Generator[list[Candidate], None, None], nothing: SourceError) -> Generator[Candidate, None, None]:
    """Each address once, with its place in the results.

    It ends with the rounds, or after three in a row that bring no new address: a site that repeats
    itself has nothing more to give.

    Raises:
        SourceError: `nothing`, where no round had a candidate.
    """
    seen: set[str] = set()
    idle = 0
    with closing(rounds):
        for found in rounds:
            known = len(seen)
            for candidate in found:
                if candidate.url not in seen:
                    seen.add(candidate.url)
                    yield replace(candidate, rank=len(seen) - 1)
            idle = 0 if len(seen) > known else idle + 1
            if idle == ROUNDS_WITHOUT_NEW:
                break
    if not seen:
        raise nothing
