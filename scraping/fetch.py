"""Downloading one picture's bytes, politely and within limits, or saying why not."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from yarl import URL

from scraping.addresses import socket_factory
from scraping.failures import FetchFailed, check_status, told_by_aiohttp
from scraping.local_files import read_file
from tellapart import __version__
from tellapart.images import DEFAULT_LIMITS
from tellapart.pictures import Reason
from tellapart.settings import Settings

_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class FetchLimits:
    """What a download may cost.

    Attributes:
        max_bytes: of one picture, after decompression.
        concurrency: requests at once; per_host: of these, to one host.
        connect_timeout, total_timeout: seconds, for one request.
        redirects: followed at most.
        tries: of one address in all, 1 or more.
        backoff: seconds before the second try, doubled with each further one, with up to as much jitter.
        longest_wait: seconds between two tries at most, whatever a Retry-After asks for.
    """

    max_bytes: int = DEFAULT_LIMITS.max_bytes
    concurrency: int = 24
    per_host: int = 6
    connect_timeout: float = 10
    total_timeout: float = 30
    redirects: int = 5
    tries: int = 3
    backoff: float = 0.5
    longest_wait: float = 20


class Fetcher:
    """Fetches addresses; use it as an async context manager inside one event loop.

    Requests to public addresses and requests of sources that are local go through sessions of
    their own, so that a connection made for one is never used by the other.
    """

    def __init__(
        self,
        settings: Settings,
        limits: FetchLimits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits or FetchLimits()
        self._sleep = sleep
        self._agent = user_agent(settings)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._everywhere = asyncio.Semaphore(self._limits.concurrency)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(self._limits.per_host))

    async def __aenter__(self) -> "Fetcher":
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for session in self._sessions.values():
            await session.close()

    async def fetch(self, url: str, local: bool = False) -> bytes:
        """The bytes at an http, https or, where `local`, file address.

        Args:
            url: the address.
            local: loopback addresses and files may be read; without it only public addresses.

        Raises:
            FetchFailed: with its reason; what may pass was tried again before.
        """
        if local and url.startswith("file://"):
            return await asyncio.to_thread(read_file, url, self._limits.max_bytes)
        tried = 0
        while True:
            tried += 1
            try:
                return await self._follow(url, local)
            except FetchFailed as failure:
                if not failure.passing or tried >= self._limits.tries:
                    raise
                await self._sleep(self._pause(tried, failure.wait))

    def _pause(self, tried: int, asked: float) -> float:
        backoff = self._limits.backoff * 2.0 ** (tried - 1) * (1.0 + random.random())
        return min(max(asked, backoff), self._limits.longest_wait)

    async def _follow(self, url: str, local: bool) -> bytes:
        target = _parse(url)
        for _ in range(self._limits.redirects + 1):
            found = await self._request(target, local)
            if isinstance(found, bytes):
                return found
            target = found
        raise FetchFailed(Reason.TOO_MANY_REDIRECTS, f"more than {self._limits.redirects} redirects")

    async def _request(self, url: URL, local: bool) -> bytes | URL:
        """One request: the body, or the address it sends on to."""
        async with self._slot(url.host or ""):
            with told_by_aiohttp():
                async with self._session(local).get(url, allow_redirects=False) as answer:
                    if answer.status in _REDIRECTS:
                        return _parse(answer.headers.get("Location", ""), base=url)
                    check_status(answer)
                    return await self._body(answer)

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        data = bytearray()
        self._check_size(answer.content_length or 0)
        async for chunk in answer.content.iter_chunked(_CHUNK):
            data += chunk
            self._check_size(len(data))
        return bytes(data)

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise FetchFailed(Reason.TOO_LARGE, f"more than the {self._limits.max_bytes} bytes that are taken")

    @asynccontextmanager
    async def _slot(self, host: str) -> AsyncIterator[None]:
        """A place among the requests; the host's own comes first, so that a slow host keeps no other waiting."""
        async with self._hosts[host], self._everywhere:
            yield

    def _session(self, local: bool) -> aiohttp.ClientSession:
        if local not in self._sessions:
            limits = self._limits
            self._sessions[local] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, socket_factory=socket_factory(local)),
                timeout=aiohttp.ClientTimeout(total=limits.total_timeout, sock_connect=limits.connect_timeout),
                headers={"User-Agent": self._agent, "Accept": "image/*,*/*;q=0.5"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._sessions[local]


def user_agent(settings: Settings) -> str:
    """What every request says about who asks."""
    contact = settings.contact or "no contact given; see TELLAPART_CONTACT"
    plain = "".join(c for c in contact if c.isascii() and c.isprintable() and c not in "()")
    return f"tellapart/{__version__} ({plain})"


def _parse(text: str, base: URL | None = None) -> URL:
    try:
        url = base.join(URL(text)) if base else URL(text)
        host = url.host
    except ValueError:
        raise FetchFailed(Reason.BAD_URL, f"{text[:200]!r} is no address") from None
    if url.scheme not in ("http", "https") or not host or not text.isprintable() or (base and not text):
        raise FetchFailed(Reason.BAD_URL, f"{text[:200]!r} is no http or https address")
    return url
