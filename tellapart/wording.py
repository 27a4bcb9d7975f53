"""How numbers are written for people, and what is said alike on pages, in reports and in a terminal."""

from collections.abc import Callable

_UNLIKELY = 1e-9
_END, _BESIDE = 0.001, 0.0016  # what is beyond the one stands with a sign; the other is the first that does not


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 picture", "2 pictures"; `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """What an error or a note says, with its first letter as that of a sentence."""
    return text[:1].upper() + text[1:]


def percent(share: float, digits: int = 1) -> str:
    """A measured share as a percentage; never rounded up to all or down to nothing."""
    least, shown = 10**-digits, share * 100
    if 0 < shown < least:
        return f"< {least:.{digits}f} %"
    if 100 - least < shown < 100:
        return f"> {100 - least:.{digits}f} %"
    return f"{shown:.{digits}f} %"


def confidence(probability: float) -> str:
    """What a classifier holds for likely as a percentage; never certain, though the number may be rounded to 1.

    Next to the ends it is rounded towards the middle, so that 99.9 % never stands beside > 99.9 %.
    """
    likely = min(max(probability, _UNLIKELY), 1 - _UNLIKELY)
    if _END <= likely <= 1 - _END:
        likely = min(max(likely, _BESIDE), 1 - _BESIDE)
    return percent(likely)


def on_one_line(write: Callable[..., str]) -> Callable[..., str]:
    """The same in pages, where a number is not to be parted from its sign."""
    return lambda *given, **named: write(*given, **named).replace(" ", "\xa0")
