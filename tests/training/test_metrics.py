"""Metrics against scikit-learn and values worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support

from tellapart.intervals import wilson
from training.metrics import (
    balanced_accuracy,
    balanced_accuracy_interval,
    confusion,
    effective_number,
    expected_calibration_error,
    per_class,
    summarize,
)


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.full(5, 0.4), 300)
    return rng.integers(0, 5, 300), probabilities


def test_agrees_with_scikit_learn(answers: tuple[np.ndarray, np.ndarray]) -> None:
    targets, probabilities = answers
    predicted = probabilities.argmax(axis=1)
    matrix = confusion(targets, predicted, 5)
    assert (matrix == confusion_matrix(targets, predicted)).all()
    assert balanced_accuracy(matrix) == pytest.approx(balanced_accuracy_score(targets, predicted))
    expected = np.transpose(precision_recall_fscore_support(targets, predicted))
    found = [[row[k] for k in ("precision", "recall", "f1", "support")] for row in per_class(matrix)]
    np.testing.assert_allclose(found, expected)


def test_a_class_without_pictures_counts_nowhere() -> None:
    matrix = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert balanced_accuracy(matrix) == pytest.approx((3 / 4 + 1) / 2)
    assert per_class(matrix)[2] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    # the bin of 0.9 is right once of two (gap 0.4), the bin of 0.6 twice of two (gap 0.4)
    assert expected_calibration_error(np.array([0, 1, 1, 1]), probabilities) == pytest.approx(0.4)


def test_calibration_error_of_certainty() -> None:
    assert expected_calibration_error(np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]])) == 0
    assert expected_calibration_error(np.array([1, 0]), np.array([[1.0, 0.0], [0.0, 1.0]])) == 1


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson_interval(correct: int, n: int, low: float, high: float) -> None:
    assert wilson(correct, n) == pytest.approx((low, high), abs=1e-4)


def test_summary_has_the_promised_keys(answers: tuple[np.ndarray, np.ndarray]) -> None:
    summary = summarize(*answers, list("abcde"))
    assert list(summary) == ["n", "accuracy", "balanced_accuracy", "ece", "per_class", "confusion"]
    assert summary["n"] == 300 == sum(map(sum, summary["confusion"]))
    assert summary["accuracy"] == pytest.approx((answers[1].argmax(1) == answers[0]).mean())


def test_near_copies_make_nothing_surer() -> None:
    """Each of twenty pictures three times, answered alike: the interval is that of twenty."""
    groups = np.repeat([str(i) for i in range(20)], 3)
    alike = np.repeat(np.arange(20) % 5 > 0, 3)
    assert effective_number(alike, groups) == pytest.approx(20)
    assert effective_number(np.ones(60, dtype=np.bool_), groups) == pytest.approx(20)
    tripled = balanced_accuracy_interval(np.array([[24, 6], [6, 24]]), worth=1 / 3)
    assert tripled == pytest.approx(wilson(16, 20))


def test_pictures_of_one_group_that_are_answered_apart_count_each() -> None:
    groups = np.repeat(["a", "b", "c", "d"], 10)
    apart = np.arange(40) % 5 > 0  # eight of the ten of each
    assert effective_number(apart, groups) == 40
    assert effective_number(np.ones(40, dtype=np.bool_), groups) == 4  # nothing tells
    alone = np.arange(40).astype(str)
    assert effective_number(apart, alone) == pytest.approx(40)
    assert effective_number(apart[:0], alone[:0]) == 0


def test_pictures_of_one_group_that_are_answered_nearly_alike_count_little() -> None:
    """Two groups of three, one right throughout, one once: squared sums (3 - 2)^2 + (1 - 2)^2 beside 6 x 2/9."""
    right = np.array([True, True, True, True, False, False])
    assert effective_number(right, np.repeat(["a", "b"], 3)) == pytest.approx(36 * (2 / 9) / 2)
