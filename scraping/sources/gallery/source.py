"""The gallery as a source: it is searched as a person would, in a browser, scrolling until nothing more comes."""

from collections.abc import Generator
from contextlib import ExitStack
from urllib.parse import quote, urljoin

from scraping.browser import Browser, Tile, open_browser
from scraping.page_rules import PageRules
from scraping.selectors import Page
from scraping.source import Candidate, NoResults
from scraping.sources.gallery.server import serve_gallery
from scraping.sources.rounds import ranked
from scraping.sources.showing import show
from tellapart.names import ClassName
from tellapart.settings import Settings

_PAGE = Page(
    tiles=".tile",
    fields={
        "picture": ("", "data-full"),
        "page": ("a", "href"),
        "title": (".title", ""),
        "author": (".author", ""),
        "license": (".license", ""),
        "license_url": (".license", "href"),
    },
    more="#more",
    end="#end",
    nothing="#nothing",
)


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
        self._open: tuple[str, Browser, PageRules] | None = None

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:  # noqa: ARG002
        """The tiles the gallery shows for a query."""
        nothing = NoResults(f"the gallery has nothing for {query!r}", "Search for the name of one of its folders")
        return ranked(self._rounds(query), nothing)

    def close(self) -> None:
        """Stop the browser and the site."""
        self._open = None
        self._held.close()

    def _rounds(self, query: str) -> Generator[list[Candidate], None, None]:
        site, browser, rules = self._opened()
        for tiles in show(browser, _PAGE, f"{site}/?q={quote(query)}", "the gallery", rules.check):
            yield [_candidate(tile, site, query) for tile in tiles]

    def _opened(self) -> tuple[str, Browser, PageRules]:
        if self._open is None:
            with ExitStack() as stack:
                site = stack.enter_context(serve_gallery(self._settings.gallery_folder))
                rules = stack.enter_context(PageRules(self._settings, local=True))
                self._open = site, stack.enter_context(open_browser(self._settings, local=True)), rules
                self._held = stack.pop_all()
        return self._open


def _candidate(tile: Tile, site: str, query: str) -> Candidate:
    return Candidate(
        url=f"gallery:{tile['picture']}",
        location=urljoin(site, tile["picture"]),
        page_url=f"gallery:{tile['page']}",
        source="gallery",
        query=query,
        rank=0,
        title=tile["title"],
        license=tile["license"],
        license_url=tile["license_url"],
        author=tile["author"],
        attribution=f"{tile['title']} by {tile['author']}, {tile['license']}" if tile["author"] else "",
    )
