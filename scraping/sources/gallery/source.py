"""The gallery as a source: it is searched as a person would, in a browser, scrolling until nothing more comes."""

from collections.abc import Generator
from contextlib import ExitStack
from urllib.parse import quote, urljoin

from scraping.browser import Browser, Tile, open_browser
from scraping.source import Candidate, NoResults
from scraping.sources.gallery.server import serve_gallery
from tellapart.names import ClassName
from tellapart.settings import Settings

_FIELDS = {
    "full": ("", "data-full"),
    "page": ("a", "href"),
    "title": (".title", ""),
    "author": (".author", ""),
    "license": (".license", ""),
    "license_url": (".license", "href"),
}


class GallerySource:
    """The project's own picture site; site and browser start with the first search.

    The site has another port in every run, so pictures are known by their place in it: gallery:/full/...
    """

    name = "gallery"
    local = True
    remembered = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = ExitStack()
        self._open: tuple[str, Browser] | None = None

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:  # noqa: ARG002
        """The tiles the gallery shows for a query."""
        site, browser = self._opened()
        browser.open(f"{site}/?q={quote(query)}", ready=".tile, #nothing")
        rank = 0
        for tiles in browser.grow(".tile", _FIELDS, more="#more", end="#end, #nothing"):
            for tile in tiles:
                yield _candidate(tile, site, query, rank)
                rank += 1
        if not rank:
            raise NoResults(f"the gallery has nothing for {query!r}", "Search for the name of one of its folders")

    def close(self) -> None:
        """Stop the browser and the site."""
        self._open = None
        self._held.close()

    def _opened(self) -> tuple[str, Browser]:
        if self._open is None:
            with ExitStack() as stack:
                site = stack.enter_context(serve_gallery(self._settings.gallery_folder))
                self._open = site, stack.enter_context(open_browser(self._settings))
                self._held = stack.pop_all()
        return self._open


def _candidate(tile: Tile, site: str, query: str, rank: int) -> Candidate:
    return Candidate(
        url=f"gallery:{tile['full']}",
        location=urljoin(site, tile["full"]),
        page_url=f"gallery:{tile['page']}",
        source="gallery",
        query=query,
        rank=rank,
        title=tile["title"],
        license=tile["license"],
        license_url=tile["license_url"],
        author=tile["author"],
        attribution=f"{tile['title']} by {tile['author']}, {tile['license']}" if tile["author"] else "",
    )
