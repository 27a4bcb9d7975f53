"""How numbers are written for people."""

import pytest

from tellapart.wording import confidence, counted, percent


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.5, "50.0 %"), (0.9996, "> 99.9 %"), (1.0, "100.0 %")],
)
def test_only_certainty_is_certain(value: float, expected: str) -> None:
    assert percent(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.984, "98 %"), (0.996, "> 99 %"), (1.0, "100 %")],
)
def test_the_rule_is_the_same_without_digits(value: float, expected: str) -> None:
    assert percent(value, 0) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, "< 0.1 %"), (0.25, "25.0 %"), (0.99951, "> 99.9 %"), (1.0, "> 99.9 %")]
)
def test_a_classifier_is_never_certain(value: float, expected: str) -> None:
    assert confidence(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0009, "< 0.1 %"),
        (0.0011, "0.2 %"),
        (0.002, "0.2 %"),
        (0.998, "99.8 %"),
        (0.999, "99.8 %"),
        (0.9991, "> 99.9 %"),
    ],
)
def test_no_figure_stands_with_a_sign_and_without(value: float, expected: str) -> None:
    assert confidence(value) == expected
