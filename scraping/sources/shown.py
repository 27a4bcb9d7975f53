"""A source that is a web page shown in a browser; what is special to a site is how one tile is read."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from scraping.browser import Browser, Tile, open_browser
from scraping.page_rules import PageRules
from scraping.selectors import Page
from scraping.source import Candidate, LayoutChanged, NoResults
from scraping.sources.rounds import ranked
from scraping.sources.showing import show
from tellapart.names import ClassName
from tellapart.settings import Settings

Browsing = Callable[[Settings, bool], AbstractContextManager[Browser]]
Rules = Callable[[Settings, bool], PageRules]
ReadTile = Callable[[Tile, str], Candidate | None]
ROUNDS_WITHOUT_WANTED = 50  # of new addresses that all show other classes


@dataclass(frozen=True)
class Site:
    """What a page source needs to know of its site.

    Attributes:
        name: of the source.
        page: how its result page is read.
        address: the result page's address for a query.
        read: a tile and the query to a candidate; None where the tile is not in a known form.
        wanted: whether a tile is for a class; only a site with labels of its own says no.
        local: whether it may stand on a loopback address.
    """

    name: str
    page: Page
    address: Callable[[str], str]
    read: ReadTile
    wanted: Callable[[Tile, ClassName], bool] = lambda tile, class_name: True  # noqa: ARG005
    local: bool = False


class PageSource:
    """A site's result pages, as far as its `Rules` allow, in a browser that starts with the first search."""

    remembered = True

    def __init__(
        self,
        site: Site,
        settings: Settings,
        browsing: Browsing = open_browser,
        rules: Rules = PageRules,
    ) -> None:
        self.name, self.local = site.name, site.local
        self._site, self._settings, self._browsing, self._rules = site, settings, browsing, rules
        self._held = ExitStack()
        self._open: tuple[Browser, PageRules] | None = None

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:
        """The pictures that the site shows for a query."""
        nothing = NoResults(f"{self.name} has nothing for {query!r}", "Use other words for the class")
        others: set[str] = set()
        rank = 0
        with closing(ranked(self._rounds(class_name, query, others), nothing)) as found:
            for candidate in found:
                if candidate.url not in others:
                    yield replace(candidate, rank=rank)
                    rank += 1
        if not rank:
            raise nothing

    def close(self) -> None:
        """Stop the browser."""
        self._open = None
        self._held.close()

    def _rounds(self, class_name: ClassName, query: str, others: set[str]) -> Generator[list[Candidate], None, None]:
        """All that is shown, round by round; the addresses of what shows other classes are put into `others`."""
        site = self._site
        browser, rules = self._opened()
        shown = understood = False
        without = 0
        for tiles in show(browser, site.page, site.address(query), self.name, rules.check):
            read = [(tile, site.read(tile, query)) for tile in tiles]
            shown |= bool(read)
            understood |= any(candidate for _, candidate in read)
            here = [(candidate, site.wanted(tile, class_name)) for tile, candidate in read if candidate]
            others.update(candidate.url for candidate, wanted in here if not wanted)
            yield [candidate for candidate, _ in here]
            without = 0 if any(wanted for _, wanted in here) else without + 1
            if without == ROUNDS_WITHOUT_WANTED:
                break
        if shown and not understood:
            raise LayoutChanged(f"{self.name} shows results in a form this program does not know", "Update it")

    def _opened(self) -> tuple[Browser, PageRules]:
        if self._open is None:
            with ExitStack() as stack:
                rules = stack.enter_context(self._rules(self._settings, self.local))
                self._open = stack.enter_context(self._browsing(self._settings, self.local)), rules
                self._held = stack.pop_all()
        return self._open


def web_address(tile: Tile, name: str) -> str:
    """The http or https address that a tile's field holds, made absolute; "" where it is none."""
    try:
        address = urljoin(tile["base"], tile.get(name, "")) if tile.get(name) else ""
        return address if urlsplit(address).scheme in ("http", "https") else ""
    except ValueError:
        return ""
