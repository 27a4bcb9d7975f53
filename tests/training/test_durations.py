"""Times as people write them."""

import pytest

from tellapart.errors import UsageError
from training.durations import in_words, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("45", 45), ("1.5m", 90), (" 2 H ", 7200)],
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "-5m", "soon", "10x", "5m2h", "9999999h", "1e3", "m", "nan", "٣m\n\0"])
def test_what_is_no_time_is_said_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a time to spend\. Write it like 90s, 10m or 2h") as caught:
        parse_duration(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "words"), [(45, "45 s"), (600, "10 min"), (5400, "1 h 30 min"), (7200, "2 h"), (119.6, "120 s")]
)
def test_a_time_is_said(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
