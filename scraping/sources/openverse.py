"""Openverse: openly licensed pictures over its public JSON API, each with licence and author."""

from collections.abc import Generator
from typing import Any

import httpx

from scraping.fetch import user_agent
from scraping.source import Candidate, LayoutChanged, NoResults, Unavailable
from tellapart.names import ClassName
from tellapart.settings import Settings

PAGE_SIZE = 20  # what the API gives to who has no account
_TIMEOUT = 20.0
_BEYOND_THE_LAST = {400, 404}
_NOT_CREATIVE_COMMONS = {"cc0", "pdm"}


class OpenverseSource:
    """Openverse's image search."""

    name = "openverse"
    local = False
    remembered = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: httpx.Client | None = None

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:  # noqa: ARG002
        """The results for a query, page by page."""
        rank = 0
        for results in self._pages(query):
            for result in results:
                if result.get("url"):
                    yield _candidate(result, query, rank)
                    rank += 1
        if not rank:
            raise NoResults(f"openverse has nothing for {query!r}", "Use other words for the class")

    def close(self) -> None:
        """Close the connection."""
        if self._client:
            self._client.close()
            self._client = None

    def _pages(self, query: str) -> Generator[list[dict[str, Any]], None, None]:
        page, last = 1, 1
        while page <= last:
            answer = self._get({"q": query, "page": page, "page_size": PAGE_SIZE})
            if page > 1 and answer.status_code in _BEYOND_THE_LAST:
                return
            results, last = _read(answer)
            yield results
            page += 1

    def _get(self, query: dict[str, str | int]) -> httpx.Response:
        self._client = self._client or httpx.Client(
            timeout=_TIMEOUT, trust_env=False, headers={"User-Agent": user_agent(self._settings)}
        )
        try:
            return self._client.get(f"{self._settings.openverse_url}/images/", params=query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"openverse cannot be reached at {self._settings.openverse_url}: {error}", "Check the connection"
            ) from error


def _read(answer: httpx.Response) -> tuple[list[dict[str, Any]], int]:
    """The results of one page and the number of the last page."""
    _check_status(answer)
    try:
        found = answer.json()
        results = [dict(result) for result in found["results"]]
        return results, int(found["page_count"]) if results else 0
    except (ValueError, KeyError, TypeError) as error:
        raise LayoutChanged(
            f"openverse answered in a form this program does not know ({type(error).__name__})", "Update this program"
        ) from error


def _check_status(answer: httpx.Response) -> None:
    if answer.status_code == 429:
        wait = answer.headers.get("Retry-After")
        when = f"Run the same command again in {wait} seconds" if wait else "Run the same command again later"
        raise Unavailable("openverse asks to slow down (HTTP status 429)", when)
    if answer.status_code in (401, 403):
        raise Unavailable(f"openverse refused the request (HTTP status {answer.status_code})", "Try again tomorrow")
    if answer.status_code != 200:
        raise Unavailable(f"openverse answered with HTTP status {answer.status_code}", "Try again later")


def _candidate(result: dict[str, Any], query: str, rank: int) -> Candidate:
    def text(key: str) -> str:
        return str(result.get(key) or "")

    return Candidate(
        url=text("url"),
        source="openverse",
        query=query,
        rank=rank,
        page_url=text("foreign_landing_url"),
        title=text("title"),
        license=_license(text("license"), text("license_version")),
        license_url=text("license_url"),
        author=text("creator"),
        attribution=text("attribution"),
    )


def _license(code: str, version: str) -> str:
    """A licence as people write it: by-sa, 2.0 -> CC BY-SA 2.0."""
    prefix = "" if code in _NOT_CREATIVE_COMMONS or not code else "CC "
    return f"{prefix}{code.upper()} {version}".strip()
