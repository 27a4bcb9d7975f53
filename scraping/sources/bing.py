"""Bing's image search, read from the JSON that each result carries."""

import json
from urllib.parse import urlencode

from scraping.browser import Tile, open_browser
from scraping.page_rules import PageRules
from scraping.selectors import BING
from scraping.source import Candidate
from scraping.sources.shown import Browsing, PageSource, Rules, Site, web_address
from tellapart.settings import Settings


def bing(settings: Settings, browsing: Browsing = open_browser, rules: Rules = PageRules) -> PageSource:
    """Bing as a source."""

    def address(query: str) -> str:
        return f"{settings.bing_url}?{urlencode({'q': query, 'form': 'HDRSC2', 'first': 1})}"

    return PageSource(Site("bing", BING, address, _read), settings, browsing, rules)


def _read(tile: Tile, query: str) -> Candidate | None:
    try:
        said = json.loads(tile["picture"])
        found = {key: str(said.get(key) or "") for key in ("murl", "purl", "t")} | {"base": tile["base"]}
    except (ValueError, AttributeError, RecursionError):
        return None
    url = web_address(found, "murl")
    return Candidate(url, "bing", query, 0, page_url=found["purl"], title=found["t"]) if url else None
