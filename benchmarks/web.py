"""How fast the web page answers, and whether it keeps to what it aims at.

    python -m benchmarks.web [--backbone efficientnet_lite0] [--pictures 1000] [--seconds 10] [--review 10000]

Makes a classifier (embedded weights, or random ones) and a data set in a home of their own, starts the service, the
web page and the worker as `tellapart up` does, and measures on the same machine, which the clients share:

- repeat upload: the same picture is sent again and again. The aim is for 32 people at once, who each think for a
  second on average (exponentially distributed, so that they also come in bursts) before they send again. Beside it
  32 clients that never think, always with one request in flight: that is how much can be answered at all, and with
  a rate of R each then waits 32 / R seconds, whatever is done.
- review: the page of a data set of 10,000 pictures with the data it shows first, and what comes when one scrolls.
- folder: pictures of 500 x 375 pixels, each different, sent as the page sends a folder (parts of 32, four at
  a time), beside as many sent to the service itself in the same way; a quarter of each in turn, so that what else
  the machine does weighs on both.

Exits with 1 if any answer was an error, not if an aim is missed: that may be the machine.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from benchmarks.machine import home_of_its_own, machine
from benchmarks.review import make_dataset, measure_review
from benchmarks.serve import make_classifiers
from benchmarks.stack import Stack, make_pictures, running, upload_form, upload_token

PART, AT_ONCE, CLIENTS = 32, 4, 32
ROUNDS = 4
THINKING = 1.0
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

    def add(self, more: "Seen") -> None:
        """Take in what was seen in another round."""
        self.latencies += more.latencies
        self.errors += more.errors
        self.seconds += more.seconds


@contextmanager
def _told(seen: Seen) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    seen.latencies.append(time.perf_counter() - begun)


async def repeat_uploads(web: str, clients: int, seconds: float, thinking: float) -> Seen:
    """Send one picture again and again; a client thinks before each request, `thinking` seconds on average."""
    seen, (picture,), dice = Seen(), make_pictures(1, seed=1), random.Random(0)
    async with _session(clients) as session:
        token = await upload_token(session, web)

        async def send() -> bool:
            form = upload_form([picture], "images", csrf_token=token)
            async with session.post(f"{web}/classify", data=form, headers=JSON) as answer:
                return answer.status == 200 and bool((await answer.json())["results"][0]["from_cache"])

        async def client() -> None:
            while time.perf_counter() < end:
                if thinking:
                    await asyncio.sleep(dice.expovariate(1 / thinking))
                with _told(seen):
                    seen.errors += not await send()

        await send()
        start = time.perf_counter()
        end = start + seconds
        await asyncio.gather(*(client() for _ in range(clients)))
        seen.seconds = time.perf_counter() - start
    return seen


async def folder_to_web(web: str, pictures: list[bytes]) -> Seen:
    """Send a folder as the upload page does."""
    async with _session(AT_ONCE) as session:
        token = await upload_token(session, web)
        start = upload_form([], "images", csrf_token=token, total=str(len(pictures)), title="folder")
        async with session.post(f"{web}/batches", data=start, headers=JSON) as answer:
            batch = web + (await answer.json())["batch"]

        def form(first: int, part: list[bytes]) -> aiohttp.FormData:
            return upload_form(part, "images", csrf_token=token, start=str(first))

        return await _in_parts(session, batch, pictures, form)


async def folder_to_service(service: str, pictures: list[bytes]) -> Seen:
    """Send the same parts to the service itself."""

    def form(_: int, part: list[bytes]) -> aiohttp.FormData:
        return upload_form(part, "images", model="benchmark0")

    async with _session(AT_ONCE) as session:
        return await _in_parts(session, f"{service}/classify_batch", pictures, form)


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
        ("1 client without a pause", 1, 0.0),
        (f"{CLIENTS} people, one a second each", CLIENTS, THINKING),
        (f"{CLIENTS} clients without a pause", CLIENTS, 0.0),
    ]
    print("a picture seen before              answers/s   p50 ms   p99 ms   errors")
    errors = 0
    for title, clients, thinking in rows:
        seen = asyncio.run(repeat_uploads(stack.web, clients, seconds, thinking))
        aim = "   aim: 15 and 60 ms" if thinking else ""
        print(f"{title:33s} {seen.rate:10.1f} {seen.ms(50):8.1f} {seen.ms(99):8.1f} {seen.errors:8d}{aim}", flush=True)
        errors += seen.errors
    return errors


def measure_folder(stack: Stack, count: int) -> int:
    """Measure and print; returns the number of errors."""
    own, web = Seen(), Seen()
    for number in range(ROUNDS):
        own.add(asyncio.run(folder_to_service(stack.service, make_pictures(count // ROUNDS, seed=100 + number))))
        web.add(asyncio.run(folder_to_web(stack.web, make_pictures(count // ROUNDS, seed=200 + number))))
    print(f"{f'a folder of {count} pictures':31s} pictures/s   errors")
    print(f"{'to the service itself':31s} {own.rate:10.1f} {own.errors:8d}")
    print(f"{'to the web page':31s} {web.rate:10.1f} {web.errors:8d}")
    print(f"{'of the own rate':31s} {web.rate / own.rate:10.2f}            aim: 0.8")
    return own.errors + web.errors


def main() -> None:
    """Parse the command line and run in a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of repeats")
    parser.add_argument("--review", type=int, default=10_000, help="pictures of the data set that is looked through")
    options = parser.parse_args()
    with home_of_its_own():
        make_classifiers(options.backbone, 1)
        make_dataset(options.review)
        with running() as stack:
            print(f"{machine()}; {options.backbone}; JPEG 500 x 375", flush=True)
            errors = measure_repeats(stack, options.seconds)
            measure_review(stack, options.review)
            errors += measure_folder(stack, options.pictures)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
