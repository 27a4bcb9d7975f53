"""Whether the web page stands while what is behind it is killed.

    python -m benchmarks.kills [--requests 5000] [--clients 8] [--every 8]

Starts the service, the web page and the worker in a home of their own, asks for two classifiers of the demo
pictures, and then sends pages and uploads while the worker, the service's Runner and the service's process that
answers are killed with SIGKILL, in turn, every so many seconds. Prints what was answered; ends with 1 if an answer
was neither right nor a 503, if a job does not end well, or if one of them was never killed.
"""

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle

import aiohttp
import httpx
import psutil

from benchmarks.machine import home_of_its_own, machine
from benchmarks.serve import make_classifiers
from benchmarks.stack import Stack, make_pictures, running, upload_form, upload_token

JOBS = {"birds-or-fruit": "birds, fruit", "flowers-or-insects": "flowers, insects"}
VICTIMS = {
    "worker": "webui.worker",
    "runner": "tellapart.runner",
    "service": "_bentoml_impl.worker.service",
}
"""What is killed, and what its command line has and no other's."""
_TURNS = ("worker", "runner", "service", "runner")
_LEAST_SECONDS = 2.6  # a server that ends within 10 s of its start is not started again
_JOB_SECONDS = 420.0


@dataclass
class Tally:
    """What was answered, and what was killed how often."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    killed: Counter[str] = field(default_factory=Counter)


def start_jobs(web: str) -> list[str]:
    """Ask for the classifiers, as the page's form does; gives the pages of the jobs."""
    with httpx.Client(base_url=web) as client:
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)
        assert token
        pages = []
        for name, classes in JOBS.items():
            form = {"csrf_token": token[1], "name": name, "classes": classes, "sources": "gallery"}
            form |= {"license": "any", "per_class": "20"}
            answer = client.post("/create", data=form)
            if answer.status_code != 303:
                sys.exit(f"a job was not taken: {answer.status_code}")
            pages.append(answer.headers["Location"])
    return pages


async def bombard(stack: Stack, pages: list[str], requests: int, clients: int, every: float) -> Tally:
    """Send requests from several clients at once, and kill meanwhile."""
    tally, left = Tally(), iter(range(requests))
    pictures = make_pictures(40)
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(60), cookie_jar=aiohttp.CookieJar(unsafe=True)
    ) as session:
        token = await upload_token(session, stack.web)

        async def client() -> None:
            for number in left:
                await _ask(session, stack.web, pages, token, pictures, number, tally)

        killer = asyncio.create_task(_kill(every, tally))
        await asyncio.gather(*(client() for _ in range(clients)))
        killer.cancel()
    return tally


async def _ask(
    session: aiohttp.ClientSession,
    web: str,
    pages: list[str],
    token: str,
    pictures: list[bytes],
    number: int,
    tally: Tally,
) -> None:
    """A page, or an upload every third time; pictures come again, so that some answers are from the cache."""
    try:
        if number % 3:
            path = ("/", "/classify", *pages)[number % (2 + len(pages))]
            async with session.get(web + path) as answer:
                await answer.read()
        else:
            picture = pictures[number % len(pictures)] + bytes([number % 251])
            form = upload_form([picture], "images", csrf_token=token)
            async with session.post(f"{web}/classify", data=form, headers={"Accept": "application/json"}) as answer:
                await answer.read()
        tally.statuses[answer.status] += 1
    except (aiohttp.ClientError, TimeoutError):
        tally.broken += 1


async def _kill(every: float, tally: Tally) -> None:
    """Kill one process after the other."""
    for victim in cycle(_TURNS):
        await asyncio.sleep(max(every, _LEAST_SECONDS))
        found = [p for p in psutil.Process().children(recursive=True) if _runs(p, VICTIMS[victim])]
        if found:
            max(found, key=lambda p: p.create_time()).kill()  # of a Runner and what keeps it, the Runner
            tally.killed[victim] += 1


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        return module in process.cmdline()
    except psutil.Error:
        return False


def ended_well(web: str, pages: list[str]) -> bool:
    """Wait until every job is done, and say what became of each."""
    deadline, well = time.monotonic() + _JOB_SECONDS, True
    for page in pages:
        while (answer := httpx.get(f"{web}{page}/live", timeout=60)).headers.get("X-Job-Active") == "yes":
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        done = "Done" in answer.text
        print(f"job {page}: {'done' if done else 'NOT DONE'}")
        well = well and done
    return well


def main() -> None:
    """Parse the command line and run in a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--every", type=float, default=8.0, help="seconds between two kills")
    options = parser.parse_args()
    with home_of_its_own():
        make_classifiers("efficientnet_lite0", 1)
        with running() as stack:
            print(machine())
            pages = start_jobs(stack.web)
            begun = time.monotonic()
            tally = asyncio.run(bombard(stack, pages, options.requests, options.clients, options.every))
            print(f"{options.requests} requests in {time.monotonic() - begun:.0f} s")
            print(f"answers by status: {dict(sorted(tally.statuses.items()))}; connections broken: {tally.broken}")
            print(f"killed: {dict(tally.killed)}")
            well = ended_well(stack.web, pages) and all(tally.killed[victim] for victim in VICTIMS)
    sys.exit(0 if well and set(tally.statuses) <= {200, 503} and not tally.broken else 1)


if __name__ == "__main__":
    main()
