"""Which pages the browser may open: public ones, or local ones of a local source, that robots.txt allows."""

import asyncio
from types import TracebackType
from urllib.parse import urlsplit

from scraping.failures import OFFLINE, FetchFailed, told_by_aiohttp
from scraping.fetch import Fetcher, parse_address
from scraping.source import Blocked, LedAstray, Unavailable
from tellapart.addresses import Network, look_up
from tellapart.pictures import Reason
from tellapart.settings import Settings


class PageRules:
    """Judges the pages that a browser is to open or has been sent to; each site's robots.txt is read once.

    Use it as a context manager, in one thread that runs no event loop.
    """

    def __init__(self, settings: Settings, local: bool = False, network: Network | None = None) -> None:
        """Nothing is contacted before the first check; `local` sources may show pages of this machine."""
        self._local, self._network = local, network or Network()
        self._fetcher = Fetcher(settings, network=self._network)
        self._loop = asyncio.Runner()

    def __enter__(self) -> "PageRules":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._loop:
            self._loop.run(self._fetcher.__aexit__(kind, error, trace))

    def check(self, address: str) -> None:
        """Let a page pass that may be opened.

        Raises:
            LedAstray: it is no http or https address, or not a public one.
            Blocked: its site's rules forbid it.
            Unavailable: they could not be read, or the site is not to be found, which forbids it for now.
        """
        try:
            self._loop.run(self._check(address))
        except FetchFailed as failure:
            raise _told(failure, address) from None

    async def _check(self, address: str) -> None:
        host = parse_address(address).host or ""
        with told_by_aiohttp():
            admitted = all(self._network.admits(a, self._local) for a in await look_up(self._network, host))
        if not admitted:
            raise FetchFailed(Reason.REFUSED_ADDRESS, f"{host} is not at a public address")
        await self._fetcher.check_robots(address, self._local)


def _told(failure: FetchFailed, address: str) -> Unavailable:
    where = urlsplit(address) if failure.reason != Reason.BAD_URL else urlsplit("")
    match failure.reason:
        case Reason.ROBOTS:
            return Blocked(
                f"the robots.txt of {where.netloc} forbids programs {where.path or '/'}",
                "Use another source, or TELLAPART_ROBOTS=off where the site's owner has allowed it",
            )
        case Reason.BAD_URL | Reason.REFUSED_ADDRESS:
            return LedAstray(
                f"the page {address[:200]!r} is not opened: {failure.what}",
                "Use another source; a site on this machine needs local = true in its recipe",
            )
    fix = OFFLINE if failure.reason is Reason.UNREACHABLE else "Try again later"
    return Unavailable(f"{where.netloc} cannot be asked: {failure.what}", fix)
