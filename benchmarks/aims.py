"""What a measurement aims at, and whether it got there: one table and one exit status for all benchmarks with aims."""

from collections.abc import Iterable
from typing import NamedTuple


class Aim(NamedTuple):
    """One figure and what it should be.

    Attributes:
        what: is measured, in words.
        measured: the figure; one that is not a number misses.
        wanted: the least it should be, or the most.
        at_most: which of the two.
        digits: after the point, as printed; what is printed alike is judged alike.
    """

    what: str
    measured: float
    wanted: float
    at_most: bool = False
    digits: int = 3

    @property
    def met(self) -> bool:
        """Whether the figure, as it is printed, is on the right side of what is wanted, or just there."""
        measured, wanted = round(self.measured, self.digits), round(self.wanted, self.digits)
        return measured <= wanted if self.at_most else measured >= wanted


def judge(aims: Iterable[Aim]) -> int:
    """Print a line for each aim; the exit status is 0 where all are met, else 1."""
    aims = list(aims)
    print(f"\n{'aim':<58}{'measured':>10}{'wanted':>18}")
    for aim in aims:
        wanted = f"{'at most' if aim.at_most else 'at least'} {aim.wanted:.{aim.digits}f}"
        verdict = "met" if aim.met else "missed"
        print(f"{aim.what:<58}{aim.measured:>10.{aim.digits}f}{wanted:>18}  {verdict}")
    return int(not all(aim.met for aim in aims))
