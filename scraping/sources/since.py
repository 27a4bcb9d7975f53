"""Asking a source only for what is new since a date: the whole of that day counts, in UTC."""

from datetime import UTC, date, datetime, time

from scraping.source import NoResults


def start_of(day: date) -> datetime:
    """The moment a day begins."""
    return datetime.combine(day, time(), UTC)


def nothing_found(source: str, query: str, since: date | None, fix: str) -> NoResults:
    """That a source has nothing for a query, or nothing that is new; `fix` is for the first."""
    if since is None:
        return NoResults(f"{source} has nothing for {query!r}", fix)
    return NoResults(f"{source} has nothing for {query!r} since {since}", "Give an earlier --since, or leave it out")
