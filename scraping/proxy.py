"""The browser's only way out: a SOCKS5 proxy (RFC 1928) that looks names up itself and holds to the network's rules.

    with Proxy(Network(), local=False) as proxy:
        ...  # chromium --proxy-server=socks5://127.0.0.1:{proxy.port}

So what a page loads beside itself comes from where it may too, and a name that stands for something else
a moment later is judged at each connection.
"""

import asyncio
import socket
from contextlib import closing, suppress
from enum import IntEnum
from ipaddress import ip_address
from threading import Event, Thread
from types import TracebackType

from tellapart.addresses import Network, look_up

_VERSION, _NO_LOGIN, _CONNECT = 5, 0, 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_PATIENCE = 10.0
_PATIENCE_OF_ONE = 3.0  # of one of a host's addresses
_CHUNK = 2**16

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Reply(IntEnum):
    """What the proxy answers (RFC 1928, section 6)."""

    CONNECTED = 0
    FORBIDDEN = 2
    UNREACHABLE = 4
    UNKNOWN_COMMAND = 7


class Proxy:
    """Serves on a loopback port, in a thread of its own, until its block ends.

    Attributes:
        port: where it listens.
    """

    def __init__(self, network: Network, local: bool) -> None:
        """Let connections out to what `network` admits, and where it is `local` to this machine itself."""
        self._network, self._local = network, local
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._running = Event()
        self._serving: set[asyncio.Task[None]] = set()  # asyncio itself does not hold on to them
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._running.wait()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._running.set()
        server = await asyncio.start_server(self._begin, sock=self._socket)
        await self._ended.wait()
        server.close()  # and what it still serves ends with the loop

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError, EOFError, asyncio.CancelledError):
            async with asyncio.timeout(_PATIENCE):
                asked = await _read_request(reader, writer)
            reply, far = await self._connect(*asked) if asked else (_Reply.UNKNOWN_COMMAND, None)
            writer.write(bytes([_VERSION, reply, 0, _IPV4, 0, 0, 0, 0, 0, 0]))
            if far:
                with closing(far[1]):
                    await asyncio.gather(_pass_on(reader, far[1]), _pass_on(far[0], writer))

    async def _connect(self, host: str, port: int) -> tuple[_Reply, Streams | None]:
        """Connect to the first of a host's addresses that answers; to none unless all of them are admitted."""
        try:
            async with asyncio.timeout(_PATIENCE):
                addresses = await look_up(self._network, host)
                if not all(self._network.admits(address, self._local) for address in addresses):
                    return _Reply.FORBIDDEN, None
                for address in addresses:
                    with suppress(OSError):
                        async with asyncio.timeout(_PATIENCE_OF_ONE):
                            return _Reply.CONNECTED, await asyncio.open_connection(str(address), port)
        except (OSError, ValueError):  # the latter of what can be no name
            pass
        return _Reply.UNREACHABLE, None


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
    """The host and port that a client asks to be connected to; None where it asks for anything else."""
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(bytes([_VERSION, _NO_LOGIN]))
    version, command, _, kind = await reader.readexactly(4)
    if kind == _NAME:
        host = (await reader.readexactly(*await reader.readexactly(1))).decode("ascii", "replace")
    elif kind in (_IPV4, _IPV6):
        host = str(ip_address(await reader.readexactly(4 if kind == _IPV4 else 16)))
    else:
        return None
    port = int.from_bytes(await reader.readexactly(2))
    return (host, port) if (version, command) == (_VERSION, _CONNECT) else None


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        sink.write(data)
        await sink.drain()
    sink.write_eof()
