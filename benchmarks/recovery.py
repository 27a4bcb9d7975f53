"""How the service takes what happens to it under load: `kill -9` of the Runner, a promotion, a rollback, SIGTERM.

    python -m benchmarks.recovery [--clients 16] [--rounds 3] [--backbone efficientnet_lite0]

Starts the service in a home of its own and has clients ask it without a pause; one that is told to try again later
waits as long as it is told. Prints what each round measured and judges the worst; ends with 1 if an aim is missed.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import NamedTuple

import aiohttp
import psutil

from benchmarks.aims import Aim, judge
from benchmarks.machine import home_of_its_own, machine
from benchmarks.serve import make_classifiers
from benchmarks.served import Served, ours
from benchmarks.stack import make_pictures

_LONGEST_S = 120.0


class Answer(NamedTuple):
    """What a request got: its status, 0 where no answer came, and what answered, or the error's code."""

    client: int
    begun: float
    ended: float
    status: int
    said: str

    @property
    def clean(self) -> bool:
        """Right, or an error that says what is the matter and when to try again."""
        return self.status == 200 or (self.status == 503 and self.said in ("not_ready", "overloaded"))


@asynccontextmanager
async def asking(url: str, clients: int) -> AsyncIterator[list[Answer]]:
    """Let clients ask, and note what they get; each has been answered when it begins. What ends one, ends all."""
    answers: list[Answer] = []
    timeout, pictures = aiohttp.ClientTimeout(_LONGEST_S), make_pictures(clients)
    async with (
        aiohttp.ClientSession(url, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(_ask_on(session, i, picture, answers)) for i, picture in enumerate(pictures)]
        await until(lambda: len({a.client for a in answers}) == clients)
        yield answers
        for task in tasks:
            task.cancel()


async def _ask_on(session: aiohttp.ClientSession, client: int, picture: bytes, answers: list[Answer]) -> None:
    while True:
        begun, status, said, pause = time.monotonic(), 0, "", 0.0
        try:
            async with session.post("/classify", data=picture, headers={"Content-Type": "image/jpeg"}) as response:
                found, status = await response.json(), response.status
                said = found["model"] if status == 200 else found["error"]["code"]
                pause = float(response.headers.get("Retry-After", 0))
        except (aiohttp.ClientError, TimeoutError):
            status, pause = 0, 1.0
        answers.append(Answer(client, begun, time.monotonic(), status, said))
        await asyncio.sleep(pause)


async def until(holds: Callable[[], bool]) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    async with asyncio.timeout(2 * _LONGEST_S):  # longer than a request that hangs
        while not holds():
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def all_ended(answers: list[Answer], since: float) -> None:
    """Wait until each client has had an end of what it asked before a moment, one that hangs included."""
    await until(lambda: {a.client for a in answers if a.ended >= since} == {a.client for a in answers})


async def kill_runner(served: Served, answers: list[Answer]) -> list[float]:
    """Seconds until readiness says no, and until pictures are answered again; requests lost, and not cleanly so."""
    seen, killed = len(answers), time.monotonic()
    runners = [process for process in served.family() if "tellapart.runner" in process.cmdline()]
    max(runners, key=lambda process: process.create_time()).kill()  # the other one keeps it
    async with aiohttp.ClientSession(served.url) as session, asyncio.timeout(2 * _LONGEST_S):
        while (await session.get("/readyz")).status == 200:
            await asyncio.sleep(0.01)
        said = time.monotonic() - killed
        while (await session.get("/readyz")).status != 200:
            await asyncio.sleep(0.01)
    ready = time.monotonic()
    await until(lambda: any(a.status == 200 and a.begun > ready for a in answers[seen:]))
    await all_ended(answers, ready)
    back = min(a.ended for a in answers[seen:] if a.status == 200 and a.begun > killed + said) - killed
    lost = [a for a in answers[seen:] if a.begun < killed and a.status != 200]
    print(f"Runner killed: said after {said:.2f} s, back after {back:.2f} s, {len(lost)} requests lost in it")
    return [said, back, sum(not a.clean for a in answers[seen:])]


async def change_version(answers: list[Answer], change: Callable[[], str]) -> list[float]:
    """Seconds until the version answers that a change of the store says, and requests that failed meanwhile."""
    seen = len(answers)
    tag = change()
    seconds = await until(lambda: any(a.said == tag for a in answers[seen:]))
    await all_ended(answers, time.monotonic())
    failed = sum(a.status != 200 for a in answers[seen:])
    print(f"{tag} answered after {seconds:.2f} s, {failed} requests failed")
    return [seconds, failed]


async def stop(served: Served, answers: list[Answer]) -> list[float]:
    """Requests in flight that were not answered, and processes left of the server."""
    everything, told = served.family(), time.monotonic()
    served.process.terminate()
    _, left = await asyncio.to_thread(psutil.wait_procs, everything, _LONGEST_S)
    seconds = time.monotonic() - told
    await all_ended(answers, told)
    in_flight = [a for a in answers if a.begun < told <= a.ended]
    print(f"SIGTERM: ended after {seconds:.2f} s; {len(in_flight)} requests were in flight")
    return [sum(a.status != 200 for a in in_flight), len(left)]


async def measure(served: Served, clients: int, rounds: int, name: str, second: str) -> int:
    """All of it, under load; the exit status."""
    from tellapart import store

    async with asking(served.url, clients) as answers:
        kills = [await kill_runner(served, answers) for _ in range(rounds)]
        promotions, rollbacks = [], []
        for _ in range(rounds):
            promotions.append(await change_version(answers, lambda: store.promote(second).tag))
            rollbacks.append(await change_version(answers, lambda: store.rollback(name).tag))
        unanswered, left = await stop(served, answers)
    said, back, unclean = (max(values) for values in zip(*kills, strict=True))
    print(machine())
    wanted = [
        ("seconds until /readyz says 503 after kill -9 of the Runner", said, 1, 2),
        ("seconds until it is back", back, 10, 2),
        ("answers meanwhile that are neither right nor a clean error", unclean, 0, 0),
        ("seconds until a promoted version answers", max(promotions)[0], 2, 2),
        ("seconds until the one before answers after a rollback", max(rollbacks)[0], 2, 2),
        ("requests that failed meanwhile", sum(failed for _, failed in promotions + rollbacks), 0, 0),
        ("requests in flight at SIGTERM that were not answered", unanswered, 0, 0),
        ("processes left after it", left, 0, 0),
    ]
    return judge(Aim(what, measured, most, at_most=True, digits=digits) for what, measured, most, digits in wanted)


def main() -> int:
    """Parse the command line and run in a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    options = parser.parse_args()
    with home_of_its_own(), ExitStack() as stack:
        first, second = (make_classifiers(options.backbone, 1)[0] for _ in range(2))
        from tellapart import store

        store.promote(f"{first.parent.name}:{first.name}")
        tag = f"{second.parent.name}:{second.name}"
        return asyncio.run(measure(ours(stack), options.clients, options.rounds, second.parent.name, tag))


if __name__ == "__main__":
    sys.exit(main())
