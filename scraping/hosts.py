"""Being considerate of each web site: few requests at once, a pause between them, none while it is failing."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scraping.failures import FetchFailed
from scraping.limits import FetchLimits
from tellapart.pictures import Reason

_ILL = {Reason.UNREACHABLE, Reason.TIMEOUT, Reason.TOO_SLOW, Reason.BAD_TLS}


@dataclass(frozen=True)
class Clock:
    """The time in seconds and how to wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Hosts:
    """Gives out turns to send a request."""

    def __init__(self, limits: FetchLimits, clock: Clock) -> None:
        self._limits, self._clock = limits, clock
        self._everywhere = asyncio.Semaphore(limits.concurrency)
        self._hosts: defaultdict[str, _Host] = defaultdict(lambda: _Host(asyncio.Semaphore(limits.per_host)))

    @asynccontextmanager
    async def turn(self, host: str, delay: float) -> AsyncIterator[None]:
        """A place among the requests; how its body ends counts for or against the host.

        The host's own place comes first, so that a slow host keeps no other waiting.

        Args:
            delay: seconds since the start of the host's last request at least.

        Raises:
            FetchFailed: the host fails all the time and is left alone for now.
        """
        state = self._hosts[host]
        async with state.places:
            self._refuse_while_open(state, host)
            await self._wait(state, delay)
            async with self._everywhere:
                self._refuse_while_open(state, host)
                self._admit_one(state)
                try:
                    yield
                except FetchFailed as failure:
                    self._count(state, failure)
                    raise
                state.failures = 0

    async def _wait(self, state: "_Host", delay: float) -> None:
        start = max(self._clock.now(), state.free_at)
        state.free_at = start + delay
        if (wait := start - self._clock.now()) > 0:
            await self._clock.sleep(wait)

    def _refuse_while_open(self, state: "_Host", host: str) -> None:
        if state.failures >= self._limits.circuit and self._clock.now() < state.open_until:
            raise FetchFailed(Reason.CIRCUIT_OPEN, f"{host} failed {state.failures} times in a row")

    def _admit_one(self, state: "_Host") -> None:
        """After a failing host had its rest, let one request through to see, and no other with it."""
        if state.failures >= self._limits.circuit:
            state.open_until = self._clock.now() + self._limits.circuit_rest

    def _count(self, state: "_Host", failure: FetchFailed) -> None:
        """Note how a request failed, and hold the host's next ones back for as long as it asked."""
        if failure.wait:
            wait = min(failure.wait, self._limits.longest_wait)
            state.free_at = max(state.free_at, self._clock.now() + wait)
        if not failure.passing and failure.reason not in _ILL:
            state.failures = 0
            return
        state.failures += 1
        if state.failures >= self._limits.circuit:
            state.open_until = self._clock.now() + self._limits.circuit_rest


@dataclass
class _Host:
    places: asyncio.Semaphore
    free_at: float = 0
    failures: int = 0
    open_until: float = 0
