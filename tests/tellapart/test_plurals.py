"""Numbers with the word for what is counted."""

import pytest

from tellapart.plurals import counted


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (0, ("picture",), "0 pictures"),
        (1, ("picture",), "1 picture"),
        (2, ("picture",), "2 pictures"),
        (1, ("class", "classes"), "1 class"),
        (3, ("class", "classes"), "3 classes"),
    ],
)
def test_one_is_one_and_anything_else_is_many(number: int, words: tuple[str, ...], expected: str) -> None:
    assert counted(number, *words) == expected
