"""How long, as people write it: 90s, 10m, 2h, 1h30m. Needs no torch."""

import math
import re

from tellapart.errors import UsageError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
_LONGEST = 365 * 24 * 3600.0


def parse_duration(text: str) -> float:
    """Seconds of "90s", "10m", "2h", "1h30m" or a plain number of seconds.

    Raises:
        UsageError: it is none of these, nothing at all, or more than a year.
    """
    match = _FORM.fullmatch(text.strip().lower().replace(" ", ""))
    seconds = sum(float(n) * unit for n, unit in zip(match.groups(), _UNITS.values(), strict=True) if n) if match else 0
    if not 0 < seconds <= _LONGEST:
        raise UsageError(f"{text[:40]!r} is not a time to spend", "Write it like 90s, 10m or 2h")
    return float(seconds)


def in_words(seconds: float) -> str:
    """The same for people: "45 s", "10 min", "1 h 30 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = math.floor(seconds / 60 + 0.5)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"
