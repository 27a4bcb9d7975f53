"""Google's image search, read from the links of its results: /imgres?imgurl=PICTURE&imgrefurl=PAGE."""

from urllib.parse import parse_qs, urlencode, urlsplit

from scraping.browser import Tile, open_browser
from scraping.page_rules import PageRules
from scraping.selectors import GOOGLE
from scraping.source import Candidate
from scraping.sources.shown import Browsing, PageSource, Rules, Site, web_address
from tellapart.settings import Settings


def google(settings: Settings, browsing: Browsing = open_browser, rules: Rules = PageRules) -> PageSource:
    """Google as a source."""

    def address(query: str) -> str:
        return f"{settings.google_url}?{urlencode({'q': query, 'udm': 2})}"

    return PageSource(Site("google", GOOGLE, address, _read), settings, browsing, rules)


def _read(tile: Tile, query: str) -> Candidate | None:
    link = parse_qs(urlsplit(tile["picture"]).query)
    found = {key: link.get(key, [""])[0] for key in ("imgurl", "imgrefurl")} | {"base": tile["base"]}
    url, page_url = web_address(found, "imgurl"), web_address(found, "imgrefurl")
    return Candidate(url, "google", query, 0, page_url=page_url, title=tile["title"]) if url else None
