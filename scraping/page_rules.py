"""Asking a site's robots.txt before the browser opens one of its pages."""

import asyncio
from types import TracebackType
from urllib.parse import urlsplit

from scraping.failures import FetchFailed
from scraping.fetch import Fetcher
from scraping.source import Blocked, Unavailable
from tellapart.addresses import Network
from tellapart.pictures import Reason
from tellapart.settings import Settings


class PageRules:
    """The rules of the sites that a browser visits, each read once.

    Use it as a context manager, in one thread that runs no event loop.
    """

    def __init__(self, settings: Settings, network: Network | None = None) -> None:
        self._fetcher = Fetcher(settings, network=network)
        self._loop = asyncio.Runner()

    def __enter__(self) -> "PageRules":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._loop:
            self._loop.run(self._fetcher.__aexit__(kind, error, trace))

    def check(self, address: str) -> None:
        """Let a page pass that its site's rules allow; pages on this machine are not asked for any.

        Raises:
            Blocked: the rules forbid it.
            Unavailable: they could not be read, which forbids it for now.
        """
        where = urlsplit(address)
        if where.scheme not in ("http", "https"):
            return
        try:
            self._loop.run(self._fetcher.check_robots(address))
        except FetchFailed as failure:
            if failure.reason == Reason.ROBOTS:
                raise Blocked(
                    f"the robots.txt of {where.netloc} forbids programs {where.path or '/'}",
                    "Use another source, or TELLAPART_ROBOTS=off where the site's owner has allowed it",
                ) from None
            raise Unavailable(f"{where.netloc} cannot be asked: {failure.what}", "Try again later") from None
