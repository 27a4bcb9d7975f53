"""What web sites say about programs: robots.txt (RFC 9309) and the X-Robots-Tag header."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from protego import Protego
from yarl import URL

from scraping.failures import FetchFailed
from tellapart.pictures import Reason

AGENT = "tellapart"
_NO_AI = {"noai", "noimageai"}
_FAILING_STATUS = {408, 425, 429}
HELD_BYTES = 4 * 2**20  # of text; rules take some ten times that
_LEAST_BYTES = 500


class Robots:
    """The rules of each site, read once; use it inside one event loop.

    Of very many sites, those longest not asked about are forgotten, and read again where they are needed.
    """

    def __init__(self, read: Callable[[URL], Awaitable[bytes]], now: Callable[[], float], rest: float) -> None:
        """
        Args:
            read: gives the bytes of a robots.txt, as many as are wanted.
            now: the time in seconds.
            rest: seconds until rules that could not be read are asked for again.
        """
        self._read, self._now, self._rest = read, now, rest
        self._sites: dict[URL, _Site] = {}

    async def check(self, url: URL) -> float:
        """Let an address pass that its site's rules allow.

        Returns:
            The seconds between two requests that the site asks for, 0 where it does not.

        Raises:
            FetchFailed: the rules forbid it, or could not be read, which forbids it for now.
        """
        rules = await self._rules(url.origin())
        if not rules.can_fetch(str(url), AGENT):
            raise FetchFailed(Reason.ROBOTS)
        return float(rules.crawl_delay(AGENT) or 0)

    async def _rules(self, origin: URL) -> Protego:
        site = self._sites[origin] = self._sites.pop(origin, _Site())
        async with site.turn:
            if site.failure and self._now() < site.again_at:
                raise site.failure.with_traceback(None)
            if site.rules is None:
                site.rules = await self._ask(origin, site)
            return site.rules

    async def _ask(self, origin: URL, site: "_Site") -> Protego:
        try:
            text = await self._read(origin / "robots.txt")
        except FetchFailed as failure:
            if not _says_there_are_none(failure):
                site.failure = FetchFailed(failure.reason, f"robots.txt: {failure.what}")
                site.again_at = self._now() + self._rest
                raise site.failure from None
            text = b""
        site.size += len(text)
        self._make_room()
        return Protego.parse(text.decode("utf-8-sig", errors="replace"))

    def _make_room(self) -> None:
        held = sum(site.size for site in self._sites.values())
        for origin in list(self._sites):
            if held <= HELD_BYTES:
                break
            held -= self._sites.pop(origin).size


@dataclass
class _Site:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    rules: Protego | None = None
    failure: FetchFailed | None = None
    again_at: float = 0
    size: int = _LEAST_BYTES


def _says_there_are_none(failure: FetchFailed) -> bool:
    """RFC 9309, 2.3.1.2 and 2.3.1.3: a 4xx, or too many redirects; "too many requests" is no such answer."""
    refused = 400 <= failure.http_status < 500 and failure.http_status not in _FAILING_STATUS
    return refused or failure.reason == Reason.TOO_MANY_REDIRECTS


_WITH_VALUE = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}


def refuse_no_ai(headers: Iterable[str]) -> None:
    """Honour X-Robots-Tag headers that keep a picture from being learned from.

    Raises:
        FetchFailed: one says `noai` or `noimageai`, to every program or to this one.
    """
    for header in headers:
        agent = ""
        for directive in header.lower().split(","):
            named, colon, rest = directive.partition(":")
            if named.strip() in _WITH_VALUE:
                continue
            agent = named.strip() if colon else agent
            said = (rest if colon else directive).strip()
            if said in _NO_AI and agent in ("", "*", AGENT):
                raise FetchFailed(Reason.NOAI, f"X-Robots-Tag: {said}")
