"""How benchmarks judge their figures."""

import pytest

from benchmarks.aims import Aim, judge


@pytest.mark.parametrize(
    ("measured", "wanted", "at_most", "met"),
    [
        (0.8, 0.8, False, True),
        (0.7996, 0.8, False, True),
        (0.799, 0.8, False, False),
        (0.02, 0.02, True, True),
        (0.021, 0.02, True, False),
        (float("nan"), 0.8, False, False),
        (float("nan"), 0.8, True, False),
    ],
)
def test_a_figure_is_judged_as_it_is_printed(measured, wanted, at_most, met):
    assert Aim("share", measured, wanted, at_most).met is met


def test_one_that_is_missed_makes_the_whole_fail(capsys):
    met, missed = Aim("precision", 0.85, 0.8), Aim("points lost", 3.8, 2, at_most=True, digits=1)
    assert judge(aim for aim in (met, missed)) == 1
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split() for line in lines] == [
        ["precision", "0.850", "at", "least", "0.800", "met"],
        ["points", "lost", "3.8", "at", "most", "2.0", "missed"],
    ]
    assert judge([met]) == 0
