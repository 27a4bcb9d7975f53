import pytest

from tellapart.progress import Progress, Stage


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_stage_reports_from_start_to_end():
    reports, clock = [], Clock()
    with Stage(reports.append, "features", total=10, clock=clock) as stage:
        clock.now += 2
        stage.advance(4, kept=3, failed=1)
        clock.now += 2
        stage.advance(4, kept=4)
        stage.note("nearly there")
    assert [(r.done, r.seconds, r.finished) for r in reports] == [
        (0, 0, False),
        (4, 2, False),
        (8, 4, False),
        (8, 4, False),
        (8, 4, True),
    ]
    assert reports[1].counts == {"kept": 3, "failed": 1}
    assert reports[-1].counts == {"kept": 7, "failed": 1}
    assert reports[-1].note == "nearly there"
    assert (reports[2].rate, reports[2].seconds_left) == (2.0, 1.0)


def test_reports_do_not_change_afterwards():
    reports = []
    with Stage(reports.append, "x") as stage:
        stage.advance(kept=1)
        stage.advance(kept=1)
    assert [r.counts.get("kept", 0) for r in reports] == [0, 1, 2, 2]


def test_a_stage_that_raises_is_not_finished():
    reports = []
    with pytest.raises(ZeroDivisionError), Stage(reports.append, "x"):
        raise ZeroDivisionError
    assert not any(r.finished for r in reports)


@pytest.mark.parametrize(
    ("progress", "rate", "left"),
    [
        (Progress("x", done=0, total=10, seconds=5), 0, None),
        (Progress("x", done=5, total=None, seconds=5), 1, None),
        (Progress("x", done=5, total=10, seconds=0), 0, None),
        (Progress("x", done=12, total=10, seconds=6), 2, 0),
    ],
)
def test_rate_and_time_left_where_they_can_be_known(progress, rate, left):
    assert (progress.rate, progress.seconds_left) == (rate, left)
