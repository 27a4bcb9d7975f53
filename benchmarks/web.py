"""How fast the web page answers: a picture it has seen before, and a folder of pictures it has not.

    python -m benchmarks.web [--backbone efficientnet_lite0] [--pictures 1000] [--seconds 10]

Makes a classifier (embedded weights, or random ones) in a home of its own, starts the service and the web page, and
measures on the same machine, which the clients share:

- repeat upload: the same picture is sent again and again, by one client and by 32. Once the 32 keep one request
  in flight each, which measures how much can be done at all; once each sends one a second, as people do.
- folder: pictures of 500 x 375 pixels, each different, sent as the page sends a folder (parts of 32, four at
  a time), beside as many sent to the service itself in the same way; a quarter of each in turn, so that what else
  the machine does weighs on both.

Exits with 1 if any answer was an error.
"""

import argparse
import asyncio
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
from PIL import Image

from benchmarks.machine import home_of_its_own, machine
from benchmarks.serve import make_classifiers

ROOT = Path(__file__).resolve().parent.parent
PART, AT_ONCE, CLIENTS = 32, 4, 32
ROUNDS = 4
JSON = {"Accept": "application/json"}


@dataclass
class Seen:
    """What clients saw: seconds of each answer, and how many were errors."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    def ms(self, percent: float) -> float:
        """The latency that this share of the answers stayed below, in milliseconds."""
        return float(np.percentile(self.latencies, percent)) * 1000

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


@dataclass(frozen=True)
class Stack:
    """The addresses of the running web page and service."""

    web: str
    service: str


def make_pictures(count: int, seed: int = 0) -> list[bytes]:
    """JPEG files of 500 x 375 pixels, about 40 kB, all different."""
    rng = np.random.default_rng(seed)
    return [_jpeg(rng.integers(0, 256, (38, 50, 3), dtype=np.uint8)) for _ in range(count)]


def _jpeg(blobs: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(blobs).resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def running() -> Iterator[Stack]:
    """The service and the web page on free loopback ports, as `tellapart up` runs them."""
    web, service = _free_port(), _free_port()
    os.environ.update(TELLAPART_WEB_PORT=str(web), TELLAPART_SERVICE_PORT=str(service))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", "cli", "up", "--no-open"], cwd=ROOT, stdout=log, stderr=log)
        try:
            stack = Stack(f"http://127.0.0.1:{web}", f"http://127.0.0.1:{service}")
            asyncio.run(_until_ready(stack, process))
            yield stack
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


async def _until_ready(stack: Stack, process: "subprocess.Popen[bytes]") -> None:
    picture = make_pictures(1)[0]
    async with aiohttp.ClientSession() as session:
        while process.poll() is None:
            try:
                async with session.get(f"{stack.web}/healthz") as answer:
                    ready = answer.status == 200
                if ready:
                    async with session.post(f"{stack.service}/classify", data=_form([picture], "image")) as answer:
                        if answer.status == 200:
                            return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    sys.exit("the servers stopped while starting")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _form(pictures: list[bytes], name: str, **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for key, value in fields.items():
        form.add_field(key, value)
    for picture in pictures:
        form.add_field(name, picture, filename="x.jpg", content_type="image/jpeg")
    return form


@contextmanager
def _told(seen: Seen) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    seen.latencies.append(time.perf_counter() - begun)


async def upload_token(session: aiohttp.ClientSession, web: str) -> str:
    """What the upload form carries, so that the web page takes what is posted."""
    async with session.get(f"{web}/classify") as answer:
        found = re.search(r'name="csrf_token" value="([^"]+)"', await answer.text())
    assert found
    return found[1]


async def repeat_uploads(web: str, clients: int, seconds: float, pause: float) -> Seen:
    """Send one picture again and again: each client once, and again `pause` seconds after it began at the earliest."""
    seen, (picture,) = Seen(), make_pictures(1, seed=1)
    async with _session(clients) as session:
        token = await upload_token(session, web)

        async def send() -> bool:
            form = _form([picture], "images", csrf_token=token)
            async with session.post(f"{web}/classify", data=form, headers=JSON) as answer:
                return answer.status == 200 and bool((await answer.json())["results"][0]["from_cache"])

        await send()

        async def client(number: int) -> None:
            await asyncio.sleep(pause * number / clients)
            while (now := time.perf_counter()) < end:
                with _told(seen):
                    seen.errors += not await send()
                await asyncio.sleep(max(0.0, now + pause - time.perf_counter()))

        start = time.perf_counter()
        end = start + seconds
        await asyncio.gather(*(client(i) for i in range(clients)))
        seen.seconds = time.perf_counter() - start
    return seen


async def folder_to_web(web: str, pictures: list[bytes]) -> Seen:
    """Send a folder as the upload page does."""
    async with _session(AT_ONCE) as session:
        token = await upload_token(session, web)
        start = _form([], "images", csrf_token=token, total=str(len(pictures)), title="folder")
        async with session.post(f"{web}/batches", data=start, headers=JSON) as answer:
            batch = web + (await answer.json())["batch"]

        def form(first: int, part: list[bytes]) -> aiohttp.FormData:
            return _form(part, "images", csrf_token=token, start=str(first))

        return await _in_parts(session, batch, pictures, form)


async def folder_to_service(service: str, pictures: list[bytes]) -> Seen:
    """Send the same parts to the service itself."""
    async with _session(AT_ONCE) as session:
        return await _in_parts(
            session, f"{service}/classify_batch", pictures, lambda _, part: _form(part, "images", model="benchmark0")
        )


async def _in_parts(
    session: aiohttp.ClientSession,
    url: str,
    pictures: list[bytes],
    form: Callable[[int, list[bytes]], aiohttp.FormData],
) -> Seen:
    """Every part of `PART` pictures once, `AT_ONCE` at a time; one latency is counted for each picture."""
    seen, turns = Seen(), asyncio.Semaphore(AT_ONCE)

    async def send(first: int) -> None:
        part = pictures[first : first + PART]
        async with turns:
            begun = time.perf_counter()
            async with session.post(url, data=form(first, part), headers=JSON) as answer:
                body = await answer.json()
            good = sum("error" not in entry for entry in body.get("results", []))
        seen.errors += len(part) - good
        seen.latencies += [time.perf_counter() - begun] * len(part)

    start = time.perf_counter()
    await asyncio.gather(*(send(first) for first in range(0, len(pictures), PART)))
    seen.seconds = time.perf_counter() - start
    return seen


def _session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections), cookie_jar=aiohttp.CookieJar(unsafe=True)
    )


def measure_repeats(stack: Stack, seconds: float) -> int:
    """Measure and print; returns the number of errors."""
    rows = [
        ("1 client", 1, 0.0),
        (f"{CLIENTS} clients, one a second each", CLIENTS, 1.0),
        (f"{CLIENTS} clients", CLIENTS, 0.0),
    ]
    print("a picture seen before              answers/s   p50 ms   p99 ms   errors")
    errors = 0
    for title, clients, pause in rows:
        seen = asyncio.run(repeat_uploads(stack.web, clients, seconds, pause))
        print(f"{title:33s} {seen.rate:10.1f} {seen.ms(50):8.1f} {seen.ms(99):8.1f} {seen.errors:8d}")
        errors += seen.errors
    return errors


def measure_folder(stack: Stack, count: int) -> int:
    """Measure and print; returns the number of errors."""
    own, web = Seen(), Seen()
    for number in range(ROUNDS):
        _add(own, asyncio.run(folder_to_service(stack.service, make_pictures(count // ROUNDS, seed=100 + number))))
        _add(web, asyncio.run(folder_to_web(stack.web, make_pictures(count // ROUNDS, seed=200 + number))))
    print(f"{f'a folder of {count} pictures':31s} pictures/s   errors")
    print(f"{'to the service itself':31s} {own.rate:10.1f} {own.errors:8d}")
    print(f"{'to the web page':31s} {web.rate:10.1f} {web.errors:8d}")
    print(f"{'of the own rate':31s} {web.rate / own.rate:10.2f}")
    return own.errors + web.errors


def _add(to: Seen, some: Seen) -> None:
    to.latencies += some.latencies
    to.errors += some.errors
    to.seconds += some.seconds


def main() -> None:
    """Parse the command line and run in a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of repeats")
    options = parser.parse_args()
    with home_of_its_own():
        make_classifiers(options.backbone, 1)
        with running() as stack:
            print(f"{machine()}; {options.backbone}; JPEG 500 x 375")
            errors = measure_repeats(stack, options.seconds) + measure_folder(stack, options.pictures)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
