"""Wikimedia Commons: freely licensed pictures over the MediaWiki API, each with licence and author."""

import html
import re
import time
from collections.abc import Generator
from datetime import date, datetime
from typing import Any

from scraping.source import Candidate, Unavailable
from scraping.sources.api import JsonApi, Sleep, known_form
from scraping.sources.rounds import ranked
from scraping.sources.since import nothing_found, start_of
from tellapart.names import ClassName
from tellapart.settings import Settings

PAGE_SIZE = 50  # what the API gives to who has no account
WIDTH = 960  # one of the widths that the site keeps ready
_NEWEST_FIRST: dict[str, str | int] = {"gsrsort": "create_timestamp_desc"}
_ASKED: dict[str, str | int] = {
    "action": "query",
    "format": "json",
    "formatversion": 2,
    "generator": "search",
    "gsrnamespace": 6,
    "gsrlimit": PAGE_SIZE,
    "prop": "imageinfo",
    "iiprop": "url|size|mime|sha1|timestamp|extmetadata",
    "iiurlwidth": WIDTH,
    "iiextmetadatafilter": "LicenseShortName|LicenseUrl|Artist|Attribution",
    "maxlag": 5,
}


class WikimediaSource:
    """The file search of Wikimedia Commons.

    A picture is known by the address of its original; what is fetched is the site's own copy of it at
    most 960 pixels wide. With a day, the newest come first and the search ends at what is older.
    """

    name = "wikimedia"
    local = False

    def __init__(self, settings: Settings, since: date | None = None, sleep: Sleep = time.sleep) -> None:
        self.remembered = since is None
        self._since = since
        self._url = settings.wikimedia_url
        self._api = JsonApi(self.name, settings, sleep=sleep, busy="MediaWiki-API-Error")

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:  # noqa: ARG002
        """The results for a query, page by page."""
        nothing = nothing_found(self.name, query, self._since, "Use other words for the class")
        return ranked(self._pages(query), nothing)

    def close(self) -> None:
        """Close the connection."""
        self._api.close()

    def _pages(self, query: str) -> Generator[list[Candidate], None, None]:
        asked = {**_ASKED, "gsrsearch": f"{query} filetype:bitmap", **(_NEWEST_FIRST if self._since else {})}
        cursor: dict[str, Any] | None = {}
        reached_older = False
        while cursor is not None:
            answer = self._api.get(self._url, {**asked, **cursor})
            with known_form(self.name):
                _refuse_errors(answer)
                described = [page for page in _in_order(answer) if page.get("imageinfo")]
                new = [page for page in described if self._is_new(page)]
                found = [_candidate(page, query) for page in new if _is_picture(page)]
                reached_older |= len(new) < len(described)
                is_last = "continue" not in answer or (reached_older and "batchcomplete" in answer)
                cursor = None if is_last else dict(answer["continue"])
            yield found

    def _is_new(self, page: dict[str, Any]) -> bool:
        """Whether a file's last version is of the day asked for or later; its page is as old or older."""
        if self._since is None:
            return True
        return datetime.fromisoformat(page["imageinfo"][0]["timestamp"]) >= start_of(self._since)


def _refuse_errors(answer: dict[str, Any]) -> None:
    if "error" in answer:
        said = f"{answer['error']['code']}: {answer['error']['info']}"
        raise Unavailable(f"wikimedia did not search ({said[:200]})", "Run the same command again later")
    if not answer.keys() & {"query", "batchcomplete", "continue"}:
        raise KeyError("query")


def _in_order(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages of one answer, best first; the API gives them by their numbers."""
    return sorted(answer.get("query", {}).get("pages", []), key=lambda page: int(page["index"]))


def _is_picture(page: dict[str, Any]) -> bool:
    return bool(page["imageinfo"][0]["mime"].startswith("image/"))


def _candidate(page: dict[str, Any], query: str) -> Candidate:
    info = page["imageinfo"][0]
    about = info.get("extmetadata") or {}

    def text(key: str) -> str:
        return _plain(str(about.get(key, {}).get("value", "")))

    title = page["title"].removeprefix("File:").rpartition(".")[0]
    parts = [f"{title} by {text('Artist')}" if text("Artist") else title, text("LicenseShortName")]
    return Candidate(
        url=info["url"],
        location=info.get("thumburl", ""),
        source="wikimedia",
        query=query,
        rank=0,
        page_url=info["descriptionurl"],
        title=title,
        license=text("LicenseShortName"),
        license_url=text("LicenseUrl"),
        author=text("Artist"),
        attribution=text("Attribution") or ", ".join(part for part in parts if part) + ", via Wikimedia Commons",
    )


def _plain(markup: str) -> str:
    """The words of a piece of HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())
