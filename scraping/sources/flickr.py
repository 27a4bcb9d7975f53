"""Flickr: openly licensed photographs over its API, which asks for a key."""

import time
from collections.abc import Generator
from datetime import date
from typing import Any

from scraping.source import Blocked, Candidate, Unavailable
from scraping.sources.api import JsonApi, Sleep, known_form
from scraping.sources.licenses import UNKNOWN, License, creative_commons
from scraping.sources.rounds import ranked
from scraping.sources.since import nothing_found, start_of
from tellapart.names import ClassName
from tellapart.settings import Settings

PAGE_SIZE = 100
LAST_PAGE = 40  # beyond 4,000 results the API repeats itself
SECONDS_BETWEEN_REQUESTS = 1.0  # 3,600 an hour are allowed
LICENSES = {
    "1": creative_commons("by-nc-sa", "2.0"),
    "2": creative_commons("by-nc", "2.0"),
    "3": creative_commons("by-nc-nd", "2.0"),
    "4": creative_commons("by", "2.0"),
    "5": creative_commons("by-sa", "2.0"),
    "6": creative_commons("by-nd", "2.0"),
    "7": License("No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    "8": License("United States Government Work", "https://www.usa.gov/government-copyright"),
    "9": creative_commons("cc0"),
    "10": creative_commons("pdm"),
}
_KEY_REFUSED = 100
_GET_A_KEY = "Get one at https://www.flickr.com/services/apps/create/ and set TELLAPART_FLICKR_KEY to it"


class FlickrSource:
    """Flickr's photograph search, of everything or of what was uploaded since a day."""

    name = "flickr"
    local = False

    def __init__(self, settings: Settings, since: date | None = None, sleep: Sleep = time.sleep) -> None:
        self.remembered = since is None
        self._since = since
        self._url, self._key = settings.flickr_url, settings.flickr_key
        self._api = JsonApi(self.name, settings, SECONDS_BETWEEN_REQUESTS, sleep)

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:  # noqa: ARG002
        """The results for a query, page by page."""
        return ranked(self._pages(query), nothing_found(self.name, query, self._since, "Use other words"))

    def close(self) -> None:
        """Close the connection."""
        self._api.close()

    def _pages(self, query: str) -> Generator[list[Candidate], None, None]:
        if not self._key:
            raise Unavailable("flickr asks for an API key", _GET_A_KEY)
        page, last = 1, 1
        while page <= min(last, LAST_PAGE):
            answer = self._api.get(self._url, {**_asked(query, page, self._since), "api_key": self._key})
            with known_form(self.name):
                _refuse_failures(answer)
                photos = answer["photos"]
                found = [_candidate(photo, query) for photo in photos["photo"] if photo.get("url_l")]
                last = int(photos["pages"])
            yield found
            page += 1


def _asked(query: str, page: int, since: date | None) -> dict[str, str | int]:
    new: dict[str, str | int] = {"min_upload_date": int(start_of(since).timestamp())} if since else {}
    return new | {
        "method": "flickr.photos.search",
        "format": "json",
        "nojsoncallback": 1,
        "text": query,
        "license": ",".join(LICENSES),
        "content_type": 1,
        "media": "photos",
        "safe_search": 1,
        "sort": "relevance",
        "extras": "url_l,owner_name,license",
        "per_page": PAGE_SIZE,
        "page": page,
    }


def _refuse_failures(answer: dict[str, Any]) -> None:
    if answer.get("stat") == "fail":
        if answer["code"] == _KEY_REFUSED:
            raise Blocked("flickr refused the API key", _GET_A_KEY)
        said = " ".join(str(answer["message"]).split())[:200]
        raise Unavailable(f"flickr did not search ({said})", "Run the same command again later")


def _candidate(photo: dict[str, Any], query: str) -> Candidate:
    license_ = LICENSES.get(str(photo["license"]), UNKNOWN)
    title, author = photo.get("title") or "", photo.get("ownername") or ""
    return Candidate(
        url=photo["url_l"],
        source="flickr",
        query=query,
        rank=0,
        page_url=f"https://www.flickr.com/photos/{photo['owner']}/{photo['id']}",
        title=title,
        license=license_.name,
        license_url=license_.url,
        author=author,
        attribution=f'"{title}" by {author}, {license_.name}' if author and license_.name else "",
    )
