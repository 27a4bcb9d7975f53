"""Whether the service keeps its memory, its processes and its answers under minutes of good and bad input.

    tellapart serve &
    python -m benchmarks.soak [--port 3000] [--minutes 10] [--clients 8]

Asks the service that listens on that port of this machine. Half of the requests are good pictures of every format,
whose answers are compared with those at the start; the others are the attacks of `benchmarks.attacks`. The
first two minutes are warm-up. Exits with 1 if an answer was wrong, a process died, or memory grew by 5 % or more from
the minute after the warm-up to the last one; what compiles networks meanwhile, and ends, is left out of both.
"""

import argparse
import contextlib
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from benchmarks.attacks import FORMATS, picture, stream
from benchmarks.machine import machine
from benchmarks.raw_http import Attack, Verdict, form, part, send

WARM_UP_S = 120.0
WINDOW_S = 60.0
MOST_GROWTH = 0.05
_GOOD = "good picture"


@dataclass
class Outcome:
    """What was asked and what was seen, by all clients together."""

    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)

    def add(self, verdict: Verdict, expected: dict[bytes, str]) -> None:
        """Count one verdict; a good picture must have the class it had at the start."""
        kind, wrong = verdict.attack.kind, verdict.wrong
        self.kinds[kind] += 1
        self.statuses.update(answer.status for answer in verdict.answers)
        self.slowest[kind] = max(verdict.seconds, self.slowest.get(kind, 0.0))
        if kind == _GOOD and not wrong and _top(verdict) not in ("", expected[verdict.attack.parts[0]]):
            wrong = "another class than at the start"
        if wrong:
            self.wrong[f"{kind}: {wrong}"] += 1


def main() -> int:
    """Run the soak and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    address = ("127.0.0.1", options.port)
    first = listening_process(options.port)
    expected = {good.parts[0]: _top(send(good, address)) for good in _good_pictures()}
    pids, memory, outcome = family(first), [], Outcome()
    deadline = time.monotonic() + options.minutes * 60
    clients = [
        threading.Thread(target=_client, args=(seed, address, deadline, expected, outcome), daemon=True)
        for seed in range(options.clients)
    ]
    for client in clients:
        client.start()
    started = time.monotonic()
    while any(client.is_alive() for client in clients):
        memory.append((time.monotonic() - started, megabytes(first)))
        time.sleep(2)
    return _report(outcome, memory, set(pids) == set(family(first)))


def listening_process(port: int) -> psutil.Process:
    """The first process of the server on a port: the oldest of BentoML's above one that listens there."""
    found = {c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port and c.pid}
    if not found:
        sys.exit(f"error: nothing listens on port {port}. Start it: tellapart serve")
    listening = psutil.Process(found.pop())
    return [listening, *(process for process in listening.parents() if "bentoml" in process.cmdline())][-1]


def family(first: psutil.Process) -> list[int]:
    """The numbers of a process and all below it, less what compiles networks, with its compilers, and then ends."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        if "tellapart.compiled" not in first.cmdline():
            found = [first.pid]
            for child in first.children():
                found += family(child)
    return found


def megabytes(first: psutil.Process) -> float:
    """What a process and all below it hold: their own memory, and what they share divided among them."""
    total = 0
    for pid in family(first):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
            total += psutil.Process(pid).memory_full_info().pss
    return total / 2**20


def _client(seed: int, address: tuple[str, int], deadline: float, expected: dict[bytes, str], outcome: Outcome) -> None:
    good: Iterator[Attack] = itertools.cycle(_good_pictures())
    for pair in zip(good, stream(seed), strict=False):
        for attack in pair:
            outcome.add(send(attack, address), expected)
        if time.monotonic() > deadline:
            return


def _good_pictures() -> list[Attack]:
    return [Attack(_GOOD, [form(part("image", picture(kind)))], frozenset({200})) for kind in FORMATS]


def _top(verdict: Verdict) -> str:
    """The class that was answered, "" where the service was busy."""
    answer = verdict.answers[0]
    return str(json.loads(answer.body)["top"]) if answer.status == 200 else ""


def _report(outcome: Outcome, memory: list[tuple[float, float]], alive: bool) -> int:
    end = memory[-1][0]
    before = [mb for at, mb in memory if WARM_UP_S <= at < WARM_UP_S + WINDOW_S]
    after = [mb for at, mb in memory if at >= end - WINDOW_S]
    growth = (sum(after) / len(after)) / (sum(before) / len(before)) - 1 if before else float("nan")
    print(machine())
    print(f"{sum(outcome.kinds.values())} requests of {len(outcome.kinds)} kinds in {end:.0f} s; answers by status:")
    print("  " + ", ".join(f"{status}: {count}" for status, count in sorted(outcome.statuses.items())))
    print("slowest:", ", ".join(f"{kind} {s:.2f} s" for kind, s in _largest(outcome.slowest)))
    print("memory, MB at each minute:", *(f"{_at(memory, second):.0f}" for second in range(0, int(end) + 1, 60)))
    print(f"growth after the warm-up: {growth:+.1%}; every process lived: {'yes' if alive else 'no'}")
    for wrong, count in outcome.wrong.most_common():
        print(f"WRONG {count} times: {wrong}")
    return 0 if alive and not outcome.wrong and growth < MOST_GROWTH else 1


def _largest(slowest: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(slowest.items(), key=lambda one: -one[1])[:3]


def _at(memory: list[tuple[float, float]], second: float) -> float:
    return min(memory, key=lambda one: abs(one[0] - second))[1]


if __name__ == "__main__":
    sys.exit(main())
