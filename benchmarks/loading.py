"""Asking a server as many clients do, from a process of its own, with as little work as can be.

    python -m benchmarks.loading HOST PORT CLIENTS SECONDS RATE MOST PATH,PATH.. PICTURE...    prints one line of JSON

Each client keeps one request in flight on one connection: bytes made beforehand, of the answer only the status line
and the length are read. With RATE above 0 requests are begun at that rate, whatever became of the ones before, each on
a connection of its own. With MOST above 0 no more than that many are sent.
"""

import asyncio
import contextlib
import json
import select
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import ROOT

_SENT_AT_ONCE = 2**20  # more than a request has


@dataclass(frozen=True)
class Load:
    """What clients saw.

    Attributes:
        seconds: how long they asked.
        processor: seconds of a core that asking took.
        latencies: seconds of each answer with status 200.
        refused: seconds of each answer with another status.
    """

    clients: int
    seconds: float
    processor: float
    latencies: list[float]
    refused: list[float]

    @property
    def rate(self) -> float:
        """Pictures a second that were answered."""
        return len(self.latencies) / self.seconds

    @property
    def answers(self) -> int:
        """Answers of every status."""
        return len(self.latencies) + len(self.refused)

    def percentile_ms(self, percent: float, refused: bool = False) -> float:
        """Milliseconds that this share of the answers stayed below."""
        values = self.refused if refused else self.latencies
        return float(np.percentile(values, percent)) * 1000 if values else float("nan")


async def load(
    url: str, clients: int, seconds: float, pictures: list[Path], path: str, rate: float = 0.0, most: int = 0
) -> Load:
    """Ask from another process; `path` as in the request line, with the query, several with commas between."""
    host, port = url.removeprefix("http://").split(":")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.loading", host, port),
        *map(str, (clients, seconds, rate, most, path, *pictures)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return Load(clients, **json.loads(out))


class _Client:
    """A connection with a request in flight."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AT_ONCE)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self._rest, self._answer, self._began = memoryview(b""), b"", 0.0

    def ask(self, request: bytes) -> None:
        """Begin a request."""
        self._rest, self._answer, self._began = memoryview(request), b"", time.perf_counter()
        self._send()

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._rest = self._rest[self.socket.send(self._rest) :]

    def go_on(self) -> tuple[bytes, float] | None:
        """Send and read what can be; the status and the seconds it took once the answer is there."""
        if self._rest:
            self._send()
        try:
            self._answer += self._read()
        except BlockingIOError:
            return None
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return None
        return head[9:12], time.perf_counter() - self._began

    def _read(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the server closed a connection")
        return data

    @property
    def wants(self) -> int:
        """What to wait for."""
        return select.EPOLLIN | (select.EPOLLOUT if self._rest else 0)


class _Clients:
    def __init__(self, address: tuple[str, int], requests: list[bytes], most: int) -> None:
        self._address, self._requests, self._most = address, requests, most
        self._poll, self._clients = select.epoll(), dict[int, _Client]()
        self.latencies: list[float] = []
        self.refused: list[float] = []
        self._sent = 0

    def keep(self, count: int, until: float) -> None:
        """Ask from so many connections at once, on each one after the other."""
        for _ in range(count):
            self._begin(self._connect())
        while self._clients:
            for client in self._answered(None):
                if time.perf_counter() < until and (not self._most or self._sent < self._most):
                    self._begin(client)
                else:
                    self._end(client)

    def begin_at(self, rate: float, seconds: float) -> None:
        """Begin requests at a rate, each on a connection of its own."""
        began = time.perf_counter()
        while self._clients or self._sent < rate * seconds:
            due = min(rate * seconds, (time.perf_counter() - began) * rate)
            while self._sent < due:
                self._begin(self._connect())
            for client in self._answered(max(0.0, began + self._sent / rate - time.perf_counter())):
                self._end(client)

    def _connect(self) -> _Client:
        client = _Client(self._address)
        self._clients[client.socket.fileno()] = client
        self._poll.register(client.socket, select.EPOLLIN)
        return client

    def _begin(self, client: _Client) -> None:
        client.ask(self._requests[self._sent % len(self._requests)])
        self._sent += 1
        self._poll.modify(client.socket, client.wants)

    def _end(self, client: _Client) -> None:
        del self._clients[client.socket.fileno()]
        client.socket.close()

    def _answered(self, timeout: float | None) -> list[_Client]:
        """Wait for something to happen; the clients that have their answer now."""
        found = []
        for number, _ in self._poll.poll(timeout):
            client = self._clients[number]
            if answer := client.go_on():
                status, seconds = answer
                (self.latencies if status == b"200" else self.refused).append(seconds)
                found.append(client)
            else:
                self._poll.modify(client.socket, client.wants)
        return found


def _request(host: str, path: str, picture: bytes) -> bytes:
    boundary = "tellapart-benchmark"
    part = 'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    before = f"--{boundary}\r\n{part}\r\n\r\n"
    body = before.encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _main(asking: _Clients, clients: int, seconds: float, rate: float) -> None:
    began, processor = time.perf_counter(), time.process_time()
    if rate:
        asking.begin_at(rate, seconds)
    else:
        asking.keep(clients, began + seconds)
    found = {"latencies": asking.latencies, "refused": asking.refused}
    lasted = time.perf_counter() - began
    print(json.dumps({"seconds": lasted, "processor": time.process_time() - processor, **found}))


if __name__ == "__main__":
    _host, _port, _count, _seconds, _rate, _most, _paths, *_files = sys.argv[1:]
    _pictures = [Path(name).read_bytes() for name in _files]
    _requests = [_request(_host, path, picture) for picture in _pictures for path in _paths.split(",")]
    _main(_Clients((_host, int(_port)), _requests, int(_most)), int(_count), float(_seconds), float(_rate))
