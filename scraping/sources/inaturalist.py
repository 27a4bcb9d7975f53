"""iNaturalist: openly licensed photographs of animals, plants and fungi, over its public API."""

import re
import time
from collections.abc import Generator
from datetime import date
from typing import Any

from scraping.source import Candidate
from scraping.sources.api import JsonApi, Sleep, known_form
from scraping.sources.licenses import creative_commons
from scraping.sources.rounds import ranked
from scraping.sources.since import nothing_found
from tellapart.names import ClassName
from tellapart.settings import Settings

PAGE_SIZE = 100
SECONDS_BETWEEN_REQUESTS = 1.0  # what the site asks of programs
LICENSES = ("cc0", "cc-by", "cc-by-nc", "cc-by-sa", "cc-by-nd", "cc-by-nc-sa", "cc-by-nc-nd")
_SIZE = re.compile(r"/(square|thumb|small|medium)\.")


class INaturalistSource:
    """The observations of a taxon, one photograph of each.

    The query is taken as the name of a taxon, and where there is none of that name, as words to search
    for. Observations come in the order of their numbers, so that the last one seen is the place to go on.
    They are all there are, or those that were reported since a day.
    """

    name = "inaturalist"
    local = False

    def __init__(self, settings: Settings, since: date | None = None, sleep: Sleep = time.sleep) -> None:
        self.remembered = since is None
        self._since = since
        self._url = f"{settings.inaturalist_url}/observations"
        self._api = JsonApi(self.name, settings, SECONDS_BETWEEN_REQUESTS, sleep)

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:  # noqa: ARG002
        """The results for a query, page by page."""
        fix = "Use the name of an animal, plant or fungus"
        return ranked(self._either(query), nothing_found(self.name, query, self._since, fix))

    def close(self) -> None:
        """Close the connection."""
        self._api.close()

    def _either(self, query: str) -> Generator[list[Candidate], None, None]:
        any_of_that_name = False
        for found in self._pages("taxon_name", query):
            any_of_that_name = True
            yield found
        if not any_of_that_name and not self._is_taxon(query):
            yield from self._pages("q", query)

    def _is_taxon(self, query: str) -> bool:
        """Whether there are older observations of a taxon that has no new ones; without a day there are none."""
        return self._since is not None and bool(self._observations(_asked("taxon_name", query, 0) | {"per_page": 1}))

    def _pages(self, how: str, query: str) -> Generator[list[Candidate], None, None]:
        new: dict[str, str | int] = {"created_d1": self._since.isoformat()} if self._since else {}
        last = 0
        while True:
            observations = self._observations(_asked(how, query, last) | new)
            with known_form(self.name):
                found = [c for observation in observations for c in _candidates(observation, query)]
                last = max((int(o["id"]) for o in observations), default=last)
            if observations:
                yield found
            if len(observations) < PAGE_SIZE:
                return

    def _observations(self, asked: dict[str, str | int]) -> list[dict[str, Any]]:
        answer = self._api.get(self._url, asked)
        with known_form(self.name):
            return list(answer["results"])


def _asked(how: str, query: str, last: int) -> dict[str, str | int]:
    return {
        how: query,
        "photos": "true",
        "photo_license": ",".join(LICENSES),
        "order_by": "id",
        "order": "asc",
        "id_above": last,
        "per_page": PAGE_SIZE,
    }


def _candidates(observation: dict[str, Any], query: str) -> list[Candidate]:
    """An observation's first photograph under an open licence; its others show the same again."""
    licensed = [photo for photo in observation["photos"] if photo.get("license_code") in LICENSES]
    return [_candidate(observation, photo, query) for photo in licensed[:1]]


def _candidate(observation: dict[str, Any], photo: dict[str, Any], query: str) -> Candidate:
    license_ = creative_commons(photo["license_code"])
    observer = observation.get("user") or {}
    return Candidate(
        url=_SIZE.sub("/large.", photo["url"]),
        source="inaturalist",
        query=query,
        rank=0,
        page_url=observation.get("uri") or "",
        title=observation.get("species_guess") or "",
        license=license_.name,
        license_url=license_.url,
        author=observer.get("name") or observer.get("login") or "",
        attribution=photo.get("attribution") or "",
    )
