"""Reading the pictures of a page that shows them to browsers: consent, scrolling, next pages, refusals."""

from collections.abc import Callable, Generator

from scraping.browser import Browser, Tile
from scraping.selectors import Page
from scraping.source import Blocked, LayoutChanged, Unavailable

_REFUSALS = {401, 403, 429, 999}
_CONSENTS = 3


def show(
    browser: Browser,
    page: Page,
    address: str,
    who: str,
    check: Callable[[str], None] = lambda address: None,  # noqa: ARG005
) -> Generator[list[Tile], None, None]:
    """The tiles of a page, and of those it goes on to, in the rounds in which they appear, each picture once.

    A round may be empty: the page changed, and brought nothing new. A page that says it has nothing
    gives no round.

    Args:
        browser: the browser to use; others must not use it meanwhile.
        page: how the page is read.
        address: where it is.
        who: whose page it is, for error messages.
        check: asked before a page is opened; raises where it may not be.

    Raises:
        Blocked: there is a captcha or a block page; it is left as it is.
        LayoutChanged: nothing that is known is on the page.
        Unavailable: the page does not open.
    """
    seen: set[str] = set()
    visited: set[str] = set()
    while address and address not in visited:
        visited.add(address)
        check(address)
        browser.visit(address)
        if not _has_tiles(browser, page, who):
            return
        yield from _grow(browser, page, who, seen)
        address = browser.link(page.next) if page.next else ""


def _has_tiles(browser: Browser, page: Page, who: str) -> bool:
    """Answer the consent page, and say whether there are tiles or the page says that there is nothing."""
    for _ in range(_CONSENTS):
        _refuse_status(browser.status(), who)
        match browser.shown(
            {"consent": page.consent, "tiles": page.tiles, "blocked": page.blocked, "nothing": page.nothing}
        ):
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


def _grow(browser: Browser, page: Page, who: str, seen: set[str]) -> Generator[list[Tile], None, None]:
    while True:
        tiles, mark = browser.read(page)
        new = {tile["picture"]: tile for tile in tiles if tile["picture"] not in seen}
        seen.update(new)
        yield list(new.values())
        if not (browser.bring_more(page, mark) or _answered(browser, page)):
            break
    state = browser.shown({"tiles": page.tiles, "blocked": page.blocked}, wait=False)
    if state == "blocked":
        raise _blocked(who)
    if not seen:
        raise LayoutChanged(f"{who} shows results, but no picture's address in them", "Update its selectors")


def _answered(browser: Browser, page: Page) -> bool:
    """Answer a consent overlay that came late; False where there is none, or it stays."""
    return bool(page.consent) and browser.press(page.consent)


def _refuse_status(status: int, who: str) -> None:
    if status in _REFUSALS:
        raise Blocked(f"{who} refused the browser (HTTP status {status})", "Use another source, or try another day")
    if status >= 500:
        raise Unavailable(f"{who} answered with HTTP status {status}", "Try again later")
    if status >= 400:
        raise LayoutChanged(f"{who} answered with HTTP status {status}", "Check the address of its list page")


def _blocked(who: str) -> Blocked:
    return Blocked(f"{who} asks whether a person is looking (a captcha or block page)", "Use another source")
