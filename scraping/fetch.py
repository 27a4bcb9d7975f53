"""Downloading one picture's bytes, politely and within limits, or saying why not."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType

import aiohttp
from yarl import URL

from scraping.failures import FetchFailed, check_status, told_by_aiohttp
from scraping.hosts import Clock, Hosts
from scraping.limits import FetchLimits
from scraping.local_files import read_file
from scraping.robots import AGENT, Robots, refuse_no_ai
from tellapart import __version__
from tellapart.addresses import Network, socket_factory
from tellapart.pictures import Reason
from tellapart.settings import Settings

_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Fetched:
    """A file as it came, and the addresses it was sent on to, in order."""

    data: bytes
    redirects: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Want:
    """What is asked for: at most so many bytes, whether more are an error, and within how many seconds."""

    max_bytes: int
    whole: bool
    timeout: float


class Fetcher:
    """Fetches addresses; use it as an async context manager inside one event loop.

    Requests to public addresses and requests of sources that are local go through sessions of
    their own, so that a connection made for one is never used by the other. What stands on this
    machine is not asked for its robots.txt, and is given no rest between requests.
    """

    def __init__(
        self,
        settings: Settings,
        limits: FetchLimits | None = None,
        clock: Clock | None = None,
        network: Network | None = None,
    ) -> None:
        self._limits = limits = limits or FetchLimits()
        self._clock = clock or Clock()
        self._network = network or Network()
        self._agent = user_agent(settings)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._hosts = Hosts(limits, self._clock)
        self._robots = Robots(self._read_robots, self._clock.now, limits.robots_rest) if settings.robots else None
        self._picture = _Want(limits.max_bytes, True, limits.total_timeout)
        self._rules = _Want(limits.robots_bytes, False, limits.robots_timeout)

    async def __aenter__(self) -> "Fetcher":
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for session in self._sessions.values():
            await session.close()

    async def fetch(self, url: str, local: bool = False) -> Fetched:
        """The bytes at an http, https or, where `local`, file address.

        Args:
            url: the address.
            local: loopback addresses and files may be read; without it only public addresses.

        Raises:
            FetchFailed: with its reason; what may pass was tried again before.
        """
        if local and url.startswith("file://"):
            return Fetched(await asyncio.to_thread(read_file, url, self._limits.max_bytes))
        tried = 0
        while True:
            tried += 1
            try:
                return await self._follow(parse_address(url), local, self._picture)
            except FetchFailed as failure:
                if not failure.passing or tried >= self._limits.tries:
                    raise
            await self._clock.sleep(self._backoff(tried))

    async def check_robots(self, url: str, local: bool) -> None:
        """Let an address pass that its site's robots.txt allows, or, where `local`, that stands on this machine.

        Raises:
            FetchFailed: it is forbidden, or no http or https address.
        """
        target = parse_address(url)
        if not (local and _is_here(target)):
            await self._allowed(target, self._picture)

    def _backoff(self, tried: int) -> float:
        """Seconds before the next try; its host's turn may take longer, where the site asked to wait."""
        return min(self._limits.backoff * 2.0 ** (tried - 1) * (1.0 + random.random()), self._limits.longest_wait)

    async def _follow(self, target: URL, local: bool, want: _Want) -> Fetched:
        redirects: list[str] = []
        for _ in range(self._limits.redirects + 1):
            delay = 0.0 if local and _is_here(target) else await self._allowed(target, want)
            found = await self._request(target, local, want, delay)
            if isinstance(found, bytes):
                return Fetched(found, tuple(redirects))
            target = found
            redirects.append(str(target))
        raise FetchFailed(Reason.TOO_MANY_REDIRECTS, f"more than {self._limits.redirects} redirects")

    async def _allowed(self, url: URL, want: _Want) -> float:
        """See that the site's rules allow an address; gives the seconds to keep between two requests to its host."""
        if self._robots is None or want is self._rules:
            return self._limits.delay
        asked = await self._robots.check(url)
        return max(self._limits.delay, min(asked, self._limits.longest_wait))

    async def _read_robots(self, url: URL) -> bytes:
        return (await self._follow(url, False, self._rules)).data

    async def _request(self, url: URL, local: bool, want: _Want, delay: float) -> bytes | URL:
        """One request: the body, or the address it sends on to."""
        timeout = aiohttp.ClientTimeout(want.timeout, self._limits.connect_timeout)
        async with self._hosts.turn(url.host_port_subcomponent or "", delay):
            with told_by_aiohttp():
                async with self._session(local).get(url, allow_redirects=False, timeout=timeout) as answer:
                    if answer.status in _REDIRECTS:
                        return parse_address(answer.headers.get("Location", ""), base=url)
                    check_status(answer)
                    refuse_no_ai(answer.headers.getall("X-Robots-Tag", []))
                    return await self._body(answer, want)

    async def _body(self, answer: aiohttp.ClientResponse, want: _Want) -> bytes:
        data = bytearray()
        if want.whole:
            _check_size(answer.content_length or 0, want)
        fast_enough = self._pace()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            data += chunk
            if len(data) > want.max_bytes and not want.whole:
                break
            _check_size(len(data), want)
            fast_enough(len(data))
        return bytes(data[: want.max_bytes])

    def _pace(self) -> Callable[[int], None]:
        """A check, for one body, that its bytes come fast enough."""
        began = self._clock.now()

        def check(size: int) -> None:
            seconds = self._clock.now() - began
            if seconds > self._limits.grace and size < self._limits.min_rate * seconds:
                raise FetchFailed(Reason.TOO_SLOW, f"{size} bytes in {seconds:.0f} seconds")

        return check

    def _session(self, local: bool) -> aiohttp.ClientSession:
        if local not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=0, resolver=self._network.resolver(), socket_factory=socket_factory(self._network, local)
            )
            self._sessions[local] = aiohttp.ClientSession(
                connector=connector,
                headers={
                    "User-Agent": self._agent,
                    "Accept": "image/*,*/*;q=0.5",
                    "Accept-Encoding": "gzip, deflate",
                },
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._sessions[local]


def user_agent(settings: Settings) -> str:
    """What every request says about who asks."""
    contact = settings.contact or "no contact given; see TELLAPART_CONTACT"
    plain = "".join(c for c in contact if c.isascii() and c.isprintable() and c not in "()")
    return f"{AGENT}/{__version__} ({plain})"


def _check_size(size: int, want: _Want) -> None:
    if size > want.max_bytes:
        raise FetchFailed(Reason.TOO_LARGE, f"more than the {want.max_bytes} bytes that are taken")


def _is_here(url: URL) -> bool:
    try:
        return url.host == "localhost" or ip_address(url.host or "").is_loopback
    except ValueError:
        return False


def parse_address(text: str, base: URL | None = None) -> URL:
    """An http or https address, made absolute where there is a `base`.

    Raises:
        FetchFailed: it is none.
    """
    try:
        url = base.join(URL(text)) if base else URL(text)
        host = url.host
    except ValueError:
        raise FetchFailed(Reason.BAD_URL, f"{text[:200]!r} is no address") from None
    if url.scheme not in ("http", "https") or not host or not text.isprintable() or (base and not text):
        raise FetchFailed(Reason.BAD_URL, f"{text[:200]!r} is no http or https address")
    return url
