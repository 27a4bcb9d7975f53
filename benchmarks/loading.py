"""Asking a server as many clients do, from a process of its own, with as little work as can be.

    python -m benchmarks.loading HOST PORT CLIENTS SECONDS RATE PATH,PATH.. PICTURE...    prints one line of JSON

Each client keeps one request in flight on one connection: bytes made beforehand, of the answer only the status line
and the length are read. With RATE above 0 requests are begun at that rate, whatever became of the ones before.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Load:
    """What clients saw.

    Attributes:
        seconds: how long they asked.
        latencies: seconds of each answer with status 200.
        refused: seconds of each answer with another status.
    """

    clients: int
    seconds: float
    latencies: list[float]
    refused: list[float]

    @property
    def rate(self) -> float:
        """Pictures a second that were answered."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, percent: float, refused: bool = False) -> float:
        """Milliseconds that this share of the answers stayed below."""
        values = self.refused if refused else self.latencies
        return float(np.percentile(values, percent)) * 1000 if values else float("nan")


async def load(url: str, clients: int, seconds: float, pictures: list[Path], path: str, rate: float = 0.0) -> Load:
    """Ask from another process; `path` as in the request line, with the query, several with commas between."""
    host, port = url.removeprefix("http://").split(":")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.loading", host, port, str(clients), str(seconds), str(rate), path),
        *map(str, pictures),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return Load(clients, **json.loads(out))


class _Clients:
    def __init__(self, host: str, port: int, requests: list[bytes]) -> None:
        self._host, self._port, self._requests = host, port, requests
        self.latencies: list[float] = []
        self.refused: list[float] = []
        self._next = 0

    async def one(self, until: float) -> None:
        """Ask, one after the other."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        while time.perf_counter() < until:
            await self._ask(reader, writer)
        writer.close()

    async def single(self) -> None:
        """Ask once, on a connection of its own."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        await self._ask(reader, writer)
        writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._next += 1
        began = time.perf_counter()
        writer.write(self._requests[self._next % len(self._requests)])
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        found = self.latencies if head[9:12] == b"200" else self.refused
        found.append(time.perf_counter() - began)


def _request(host: str, path: str, picture: bytes) -> bytes:
    boundary = "tellapart-benchmark"
    part = 'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    before = f"--{boundary}\r\n{part}\r\n\r\n"
    body = before.encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _main(host: str, port: int, clients: int, seconds: float, rate: float, requests: list[bytes]) -> None:
    asking, began = _Clients(host, port, requests), time.perf_counter()
    if rate:
        tasks = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(asking.single()))
        await asyncio.gather(*tasks)
    else:
        await asyncio.gather(*(asking.one(began + seconds) for _ in range(clients)))
    lasted = time.perf_counter() - began
    print(json.dumps({"seconds": lasted, "latencies": asking.latencies, "refused": asking.refused}))


if __name__ == "__main__":
    _host, _port, _clients, _seconds, _rate, _paths, *_files = sys.argv[1:]
    _pictures = [Path(name).read_bytes() for name in _files]
    _requests = [_request(_host, path, picture) for picture in _pictures for path in _paths.split(",")]
    asyncio.run(_main(_host, int(_port), int(_clients), float(_seconds), float(_rate), _requests))
