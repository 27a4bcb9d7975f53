"""Fetching one picture from an address that a person gave, under the collector's address rules.

The address is looked up here, on this machine, so it must not lead into the network this machine stands in:
only http and https, and only public addresses, checked where the socket is made, on every redirect.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore

import aiohttp
from yarl import URL

from tellapart import __version__
from tellapart.addresses import Network, RefusedAddress, socket_factory
from tellapart.images import DEFAULT_LIMITS
from tellapart.wire import ServiceError

SECONDS = 20.0
REDIRECTS = 5
AT_ONCE = 4
_CHUNK = 64 * 1024
_SENT_ON = {301, 302, 303, 307, 308}
_HEADERS = {"User-Agent": f"tellapart/{__version__}", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "gzip, deflate"}


@dataclass(frozen=True)
class Fetched:
    """What stood at an address, and the last part of that address as its name."""

    name: str
    data: bytes


class PictureFetcher:
    """Fetches single pictures; at most `AT_ONCE` at a time, as each holds a thread of the web page."""

    def __init__(self, network: Network | None = None, seconds: float = SECONDS) -> None:
        self._network, self._seconds = network or Network(), seconds
        self._turns = BoundedSemaphore(AT_ONCE)

    def fetch(self, address: str) -> Fetched:
        """The bytes at an address.

        Raises:
            ServiceError: `wrong_field` for an address that is refused or cannot be fetched, `too_large`
                for more bytes than a picture may have, `overloaded` where too many are fetched already.
        """
        url = _parse(address.strip())
        if not self._turns.acquire(blocking=False):
            raise ServiceError("overloaded", "too many addresses are fetched just now. Try again in a moment")
        try:
            return asyncio.run(self._within_time(url))
        finally:
            self._turns.release()

    async def _within_time(self, url: URL) -> Fetched:
        with _told():
            async with asyncio.timeout(self._seconds), self._session() as session:
                return await _follow(session, url)

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=self._network.resolver(), socket_factory=socket_factory(self._network, local=False)
        )
        return aiohttp.ClientSession(
            connector=connector, headers=_HEADERS, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )


async def _follow(session: aiohttp.ClientSession, url: URL) -> Fetched:
    for _ in range(REDIRECTS + 1):
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status not in _SENT_ON:
                return Fetched(url.name, await _body(answer))
            url = _parse(answer.headers.get("Location", ""), base=url)
    raise _failed(f"the address was sent on more than {REDIRECTS} times")


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The body, counted after decompression."""
    if answer.status != 200:
        raise _failed(f"the site answered with status {answer.status}")
    data = bytearray()
    _check_size(answer.content_length or 0)
    async for chunk in answer.content.iter_chunked(_CHUNK):
        data += chunk
        _check_size(len(data))
    return bytes(data)


def _check_size(size: int) -> None:
    if size > DEFAULT_LIMITS.max_bytes:
        raise ServiceError("too_large", f"the address holds more than {DEFAULT_LIMITS.max_bytes / 2**20:.0f} MB")


def _parse(text: str, base: URL | None = None) -> URL:
    try:
        url = base.join(URL(text)) if base else URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and text.isprintable() and bool(text)
    except ValueError:
        usable = False
    if not usable or url.user or url.password:
        raise _failed(f"{text[:120]!r} is no http or https address")
    return url


@contextmanager
def _told() -> Iterator[None]:
    """Turn what goes wrong on the way into one line for people."""
    try:
        yield
    except ServiceError:
        raise
    except TimeoutError:
        raise _failed("the site takes too long") from None
    except aiohttp.ClientConnectorError as error:
        raise _failed(_unconnected(error)) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _failed("the address cannot be fetched") from error


def _unconnected(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error.os_error, RefusedAddress):
        return f"{error.host} is not at a public address"
    if isinstance(error.os_error, socket.gaierror):
        return f"there is no site called {error.host}"
    return f"{error.host} cannot be reached"


def _failed(what: str) -> ServiceError:
    return ServiceError("wrong_field", what)
