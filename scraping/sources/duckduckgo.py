"""DuckDuckGo's image search, read from the addresses of its results' pictures and links.

Its own server hands the pictures on (/iu/?u=ADDRESS); what is fetched is the address behind that.
"""

from urllib.parse import parse_qs, urlencode, urlsplit

from scraping.browser import Tile, open_browser
from scraping.page_rules import PageRules
from scraping.selectors import DUCKDUCKGO
from scraping.source import Candidate
from scraping.sources.shown import Browsing, PageSource, Rules, Site, web_address
from tellapart.settings import Settings


def duckduckgo(settings: Settings, browsing: Browsing = open_browser, rules: Rules = PageRules) -> PageSource:
    """DuckDuckGo as a source."""

    def address(query: str) -> str:
        return f"{settings.duckduckgo_url}?{urlencode({'q': query, 'iax': 'images', 'ia': 'images'})}"

    return PageSource(Site("duckduckgo", DUCKDUCKGO, address, _read), settings, browsing, rules)


def _read(tile: Tile, query: str) -> Candidate | None:
    shown = web_address(tile, "picture")
    behind = parse_qs(urlsplit(shown).query).get("u", [shown])[0] if "/iu/" in shown else shown
    url = web_address({**tile, "picture": behind}, "picture")
    page_url = web_address(tile, "page")
    return Candidate(url, "duckduckgo", query, 0, page_url=page_url, title=tile["title"]) if url else None
