"""The worker as a process whose jobs wait at a gate, so that none is done before a test has seen it at work.

Each run of a job takes a few pictures, and the others only once the file GATE is there:

    python -m tests.webui.worker.gated GATE                    the worker
    python -m tests.webui.worker.gated GATE collect pets cat   what it runs for a job
"""

import asyncio
import sys
from pathlib import Path

from cli import main as command_line
from scraping.fetch import Fetched, Fetcher
from tellapart.settings import Settings
from webui import runner, worker
from webui.job_command import job_command
from webui.jobs import Job

NAME = "tests.webui.worker.gated"
FEW = 20
APART = 0.15  # seconds, so that each is told of: of more in 0.1 s, lines are left out


def gate_jobs(gate: str) -> None:
    """Let jobs run through this module."""

    def gated(job: Job, settings: Settings) -> list[str]:
        python, _, _, *words = job_command(job, settings)
        return [python, "-m", NAME, gate, *words]

    runner.job_command = gated


def gate_pictures(gate: Path) -> None:
    """Let pictures come one after the other, and no more than a few, until the gate is open."""
    fetch, turn, came = Fetcher.fetch, asyncio.Lock(), 0

    async def wait_and_fetch(self: Fetcher, url: str, local: bool = False) -> Fetched:
        nonlocal came
        async with turn:
            came += 1
            while not gate.exists():
                await asyncio.sleep(APART)
                if came <= FEW:
                    break
        return await fetch(self, url, local)

    Fetcher.fetch = wait_and_fetch  # type: ignore[method-assign]


if __name__ == "__main__":
    gate, *words = sys.argv[1:]
    if words:
        gate_pictures(Path(gate))
        sys.exit(command_line(words))
    gate_jobs(gate)
    sys.exit(worker.main())
