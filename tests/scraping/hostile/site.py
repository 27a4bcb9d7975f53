"""A web site that does everything wrong, on loopback addresses of its own, and a fetcher with a stranger's view of it.

Every host name NAME.test is a site of its own with one behaviour, at an address that the fetcher
takes for a public one (127.8.8.8). What must not be reached stands at 127.0.0.1, `inside.test` included.
"""

import asyncio
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from scraping.fetch import Fetcher
from scraping.hosts import Clock
from scraping.intake import Intake
from scraping.limits import FetchLimits
from scraping.source import Candidate
from tellapart.addresses import Network, may_connect
from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.settings import Settings

PUBLIC, INSIDE = "127.8.8.8", "127.0.0.1"
LIMITS = FetchLimits(
    max_bytes=200_000,
    delay=0.01,
    min_rate=1000,
    grace=1,
    backoff=0.01,
)
IMPATIENT = replace(LIMITS, total_timeout=0.4)

_TLS_HELLO = b"\x16"

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]
Behaviour = bytes | Talk


def http(body: bytes = b"", status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """An answer as it goes over the wire; `length` is what it says of its body, -1 for nothing."""
    said = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    lines += [f"Content-Length: {said}"] if said >= 0 else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def then(*steps: bytes | float, again: bytes = b"", every: float = 0) -> Talk:
    """Write bytes and wait for seconds in turn, then write `again` without end."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            else:
                await asyncio.sleep(step)
        while again:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(every)

    return talk


def once(event: Event, answer: bytes) -> Talk:
    """Answer when something has happened."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        await asyncio.to_thread(event.wait, 30)
        writer.write(answer)

    return talk


def reset(first: bytes = b"") -> Talk:
    """Break the connection off without a proper end."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        await asyncio.sleep(0.02)
        no_farewell = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_farewell)
        writer.transport.abort()

    return talk


class HostileSite:
    """Answers each host name as its table says; runs in a thread of its own."""

    def __init__(self, certificate: Path) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.robots: dict[str, Behaviour] = {}
        self.asked: Counter[str] = Counter()
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port, self.tls_port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def at(self, name: str, path: str = "/picture.jpg") -> str:
        return f"http://{name}.test:{self.port}{path}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> tuple[int, int]:
        self._plain = await asyncio.start_server(self._answer, PUBLIC, 0)
        port = self._plain.sockets[0].getsockname()[1]
        self._inside = await asyncio.start_server(self._answer, INSIDE, port)
        self._safe = await asyncio.start_server(self._answer, PUBLIC, 0, ssl=self._tls)
        return port, self._safe.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        for server in (self._plain, self._inside, self._safe):
            server.close()
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == _TLS_HELLO:
                writer.write(http(status="400 Bad Request"))
            else:
                head = first + await reader.readuntil(b"\r\n\r\n")
                await self._behave(head.decode("latin-1"), writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # a cancelled one would be logged as an error
        finally:
            writer.close()

    async def _behave(self, head: str, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ")[1]
        host = next(line[6:] for line in head.splitlines() if line.lower().startswith("host: "))
        name = host.partition(":")[0].removesuffix(".test")
        for_robots = path == "/robots.txt"
        self.asked[f"{name} robots" if for_robots else name] += 1
        default = http(status="404 Not Found")
        behaviour = (self.robots if for_robots else self.behaviours).get(name, default)
        if isinstance(behaviour, bytes):
            writer.write(behaviour)
        else:
            await behaviour(writer)


class TestNames(AbstractResolver):
    """Knows the names of the hostile site, and no others."""

    __test__ = False

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        if not host.endswith(".test") or host == "nowhere.test":
            raise OSError(f"no such name: {host}")
        address = INSIDE if host == "inside.test" else PUBLIC
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is held."""


@dataclass
class FastClock:
    """Time that passes as it does, but for sleeping, which takes none and moves it all the same."""

    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


NETWORK = Network(TestNames, lambda address, local: address == ip_address(PUBLIC) or may_connect(address, local))


@dataclass
class Stranger:
    """Takes pictures in from the hostile site as from any site of the web."""

    dataset: Dataset
    settings: Settings
    clock: FastClock = field(default_factory=FastClock)

    def take(self, *urls: str, class_name: str = "cat", limits: FetchLimits = LIMITS, **origin: Any) -> list[Attempt]:
        """The manifest's rows of the addresses, taken in one after the other."""
        return asyncio.run(self._take(urls, class_name, limits, origin))

    def fetcher(self, limits: FetchLimits = LIMITS) -> Fetcher:
        return Fetcher(self.settings, limits, Clock(self.clock.now, self.clock.sleep), NETWORK)

    async def _take(
        self, urls: tuple[str, ...], class_name: str, limits: FetchLimits, origin: dict[str, Any]
    ) -> list[Attempt]:
        wanted = next(c for c in self.dataset.classes if c.slug == class_name)
        async with self.fetcher(limits) as fetcher:
            with Intake(self.dataset, fetcher) as intake:
                for rank, url in enumerate(urls):
                    pages = {key: f"{value}{rank}" for key, value in origin.items()}
                    await intake.take(intake.shelf(wanted), Candidate(url, "list", "cat", rank, **pages), False)
        rows = {row.url: row for row in self.dataset.manifest.attempts(class_name)}
        return [rows[url] for url in urls]
