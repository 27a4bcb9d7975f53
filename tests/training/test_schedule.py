"""The learning rate, the time there is, and how far a training is."""

import math

import pytest

from training.schedule import Budget, Pace, rate


@pytest.mark.parametrize(
    ("progress", "share"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (1, 0), (2, 0), (0.325, 0.5 + math.sqrt(0.125))]
)
def test_the_rate_rises_straight_and_falls_as_a_cosine(progress: float, share: float) -> None:
    assert rate(progress, warm_up=0.1) == pytest.approx(share, abs=1e-9)


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_before_a_kill_counts() -> None:
    clock = Clock()
    budget = Budget(60.0, used_before=20.0, clock=clock)
    clock.now += 15
    assert (budget.used, budget.left) == (35.0, 25.0)
    assert Budget(None, clock=clock).left == math.inf


def test_progress_is_the_further_of_steps_and_time() -> None:
    clock = Clock()
    pace = Pace(10, Budget(100.0, clock=clock), reserve=20.0)
    assert pace.progress(5) == 0.5
    clock.now += 1
    assert pace.progress(5) == 0.5
    clock.now += 59
    with pace.checking():
        pass
    assert pace.progress(5) == 0.75
    assert pace.progress(9) == 0.9


def test_a_step_that_would_end_too_late_is_not_begun() -> None:
    clock = Clock()
    pace = Pace(1000, Budget(100.0, clock=clock))
    for _ in range(9):
        pace.progress(0)
        clock.now += 10
    assert pace.progress(0) == 1.0


def test_the_checks_to_come_are_kept_free() -> None:
    clock = Clock()
    pace = Pace(1000, Budget(100.0, clock=clock), checks_after=3.0)
    with pace.checking():
        clock.now += 10
    assert pace.progress(0) < 1  # 44 seconds are kept for one check and three times as much afterwards
    clock.now += 46
    with pace.checking():
        pass
    assert pace.progress(0) == 1.0


def test_without_a_budget_steps_alone_count() -> None:
    clock = Clock()
    pace = Pace(10, Budget(None, clock=clock))
    clock.now += 1e9
    assert pace.progress(2) == 0.2
