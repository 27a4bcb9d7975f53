"""Openverse: openly licensed pictures over its public JSON API, each with licence and author."""

import time
from collections.abc import Generator
from typing import Any

from scraping.source import Candidate, NoResults
from scraping.sources.api import JsonApi, Sleep, known_form
from scraping.sources.licenses import creative_commons
from scraping.sources.rounds import ranked
from tellapart.names import ClassName
from tellapart.settings import Settings

PAGE_SIZE = 20  # what the API gives to who has no account
_BEYOND_THE_LAST = {400, 404}


class OpenverseSource:
    """Openverse's image search."""

    name = "openverse"
    local = False
    remembered = True

    def __init__(self, settings: Settings, sleep: Sleep = time.sleep) -> None:
        self._url = f"{settings.openverse_url}/images/"
        self._api = JsonApi(self.name, settings, sleep=sleep)

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:  # noqa: ARG002
        """The results for a query, page by page."""
        nothing = NoResults(f"openverse has nothing for {query!r}", "Use other words for the class")
        return ranked(self._pages(query), nothing)

    def close(self) -> None:
        """Close the connection."""
        self._api.close()

    def _pages(self, query: str) -> Generator[list[Candidate], None, None]:
        page, last = 1, 1
        while page <= last:
            asked: dict[str, str | int] = {"q": query, "page": page, "page_size": PAGE_SIZE}
            answer = self._api.get(self._url, asked, ends=_BEYOND_THE_LAST if page > 1 else ())
            if not answer:
                return
            with known_form(self.name):
                found = [_candidate(result, query) for result in answer["results"] if result.get("url")]
                last = int(answer["page_count"]) if answer["results"] else 0
            yield found
            page += 1


def _candidate(result: dict[str, Any], query: str) -> Candidate:
    def text(key: str) -> str:
        return str(result.get(key) or "")

    return Candidate(
        url=text("url"),
        source="openverse",
        query=query,
        rank=0,
        page_url=text("foreign_landing_url"),
        title=text("title"),
        license=creative_commons(text("license"), text("license_version")).name,
        license_url=text("license_url"),
        author=text("creator"),
        attribution=text("attribution"),
    )
