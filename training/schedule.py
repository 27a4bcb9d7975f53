"""How the learning rate goes, and how time is shared out: both follow the clock as well as the steps.

Where a budget of time ends the training sooner than its steps would, the rate still goes down to nothing
by then: progress is whichever is further, steps or time.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WARM_UP = 0.05  # of all progress
_SLACK = 1.1  # the next check may take so much more than the slowest so far


def rate(progress: float, warm_up: float = WARM_UP) -> float:
    """The share of the full learning rate at `progress` in [0, 1]: a straight rise, then half a cosine down.

    Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", one cycle.
    """
    if progress < warm_up:
        return max(progress, 0.0) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warm_up) / (1 - warm_up))))


@dataclass
class Budget:
    """Time that may be spent, counted on a clock that nobody sets.

    Attributes:
        seconds: in all; None for no bound.
        used_before: spent by earlier processes that were killed.
        began: since when it is spent, by the clock; None for from now on.
    """

    seconds: float | None
    used_before: float = 0.0
    clock: Callable[[], float] = time.monotonic
    began: float | None = None
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock() if self.began is None else self.began

    @property
    def used(self) -> float:
        """Seconds spent so far, by this process and those before it."""
        return self.used_before + self.clock() - self._start

    @property
    def left(self) -> float:
        """Seconds left, infinite without a bound."""
        return math.inf if self.seconds is None else self.seconds - self.used


@dataclass
class Pace:
    """How far a training is, by its steps and by its time.

    Attributes:
        steps: in all.
        budget: of time.
        reserve: seconds to keep for what comes after the last step, beside the last check.
        checks_after: what comes after the last check, in checks.
        began: seconds of the budget that were used when the first step was taken.
        check: seconds that the slowest check took.
        step: seconds that the last step took; a step that would end too late is not begun.
    """

    steps: int
    budget: Budget
    reserve: float = 0.0
    checks_after: float = 0.0
    began: float = 0.0
    check: float = 0.0
    step: float = 0.0
    _asked: float | None = None

    def progress(self, step: int) -> float:
        """The share in [0, 1] that is behind after so many steps; 1 where the time is up. Asked before each step."""
        now = self.budget.used
        self.step = 0.0 if self._asked is None else now - self._asked
        self._asked = now
        return min(1.0, max(step / self.steps, self._by_time(now)))

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Times a check of the network on the validation pictures."""
        start = self.budget.used
        yield
        self.check = max(self.check, self.budget.used - start)
        self._asked = None

    def _by_time(self, now: float) -> float:
        if self.budget.seconds is None:
            return 0.0
        end = self.budget.seconds - self.reserve - _SLACK * self.check * (1 + self.checks_after)
        if now + self.step >= end:
            return 1.0
        return max(0.0, now - self.began) / (end - self.began)
