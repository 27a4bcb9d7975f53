"""Reading the pictures of a page that shows them to browsers: consent, scrolling, next pages, refusals."""

from collections.abc import Callable, Generator
from functools import cache

from scraping.browser import Browser, Tile
from scraping.selectors import Page
from scraping.source import Blocked, LayoutChanged, Unavailable

_REFUSALS = {401, 403, 429, 999}
_CONSENTS = 3


def show(
    browser: Browser, page: Page, address: str, who: str, check: Callable[[str], None]
) -> Generator[list[Tile], None, None]:
    """The tiles of a page, and of those it goes on to, in the rounds in which they appear, each picture once.

    A round may be empty: the page changed, and brought nothing new. A page that says it has nothing
    gives no round.

    Args:
        browser: the browser to use; others must not use it meanwhile.
        page: how the page is read.
        address: where it is.
        who: whose page it is, for error messages.
        check: asked before a page is opened, and of each address the browser then turns out to be at;
            raises where it may not be, and what stands there is not read.

    Raises:
        Blocked: there is a captcha or a block page; it is left as it is.
        LayoutChanged: nothing that is known is on the page.
        Unavailable: the page does not open.
    """
    seen: set[str] = set()
    visited: set[str] = set()
    way = _Way(browser, check)
    while address and address not in visited:
        visited.add(address)
        way.go(address)
        if not _has_tiles(browser, page, who, way):
            return
        yield from _grow(browser, page, who, way, seen)
        address = browser.link(page.next) if page.next else ""


class _Way:
    """Where the browser goes and is sent to; each address is checked once."""

    def __init__(self, browser: Browser, check: Callable[[str], None]) -> None:
        self._browser, self._check = browser, cache(check)

    def go(self, address: str) -> None:
        """Open a page that may be opened."""
        self._check(address)
        try:
            self._browser.visit(address)
        except Unavailable:
            self.look_back()
            raise

    def look_back(self) -> None:
        """See that the browser may be where it is: the site may have sent it on, or a script led it away."""
        self._check(self._browser.address())


def _has_tiles(browser: Browser, page: Page, who: str, way: _Way) -> bool:
    """Answer the consent page, and say whether there are tiles or the page says that there is nothing."""
    choices = [("consent", page.consent), ("tiles", page.tiles), ("blocked", page.blocked), ("nothing", page.nothing)]
    for _ in range(_CONSENTS):
        way.look_back()
        _refuse_status(browser.status(), who)
        match browser.shown(choices):
            case "tiles":
                return True
            case "nothing":
                return False
            case "blocked":
                raise _blocked(who)
            case "":
                break
            case _:
                browser.press(page.consent)
    raise LayoutChanged(f"{who} shows nothing that matches {page.tiles!r}", "Update its selectors")


def _grow(browser: Browser, page: Page, who: str, way: _Way, seen: set[str]) -> Generator[list[Tile], None, None]:
    bystander = False
    while True:
        tiles, mark = browser.read(page)
        way.look_back()
        new = {tile["picture"]: tile for tile in tiles if tile["picture"] not in seen}
        seen.update(new)
        bystander = _asks(browser, page) if new else bystander
        yield list(new.values())
        if not (browser.bring_more(page, mark) or _answered(browser, page)):
            break
    if _asks(browser, page) and not (bystander and browser.shown([("tiles", page.tiles)], wait=False)):
        raise _blocked(who)
    if not seen:
        raise LayoutChanged(f"{who} shows results, but no picture's address in them", "Update its selectors")


def _asks(browser: Browser, page: Page) -> bool:
    """Whether a captcha or the like is on the page; one that stood there while results came is no refusal."""
    return bool(browser.shown([("blocked", page.blocked)], wait=False))


def _answered(browser: Browser, page: Page) -> bool:
    """Answer a consent overlay that came late; False where there is none, or it stays."""
    return bool(page.consent) and browser.press(page.consent)


def _refuse_status(status: int, who: str) -> None:
    if not status:
        raise Unavailable(f"{who} did not open: the browser has no answer to show", "Check its address")
    if status in _REFUSALS:
        raise Blocked(f"{who} refused the browser (HTTP status {status})", "Use another source, or try another day")
    if status >= 500:
        raise Unavailable(f"{who} answered with HTTP status {status}", "Try again later")
    if status >= 400:
        raise LayoutChanged(f"{who} answered with HTTP status {status}", "Check the address of its list page")


def _blocked(who: str) -> Blocked:
    return Blocked(f"{who} asks whether a person is looking (a captcha or block page)", "Use another source")
