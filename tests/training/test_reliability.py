"""Whether confidence means what it says: an over-confident head is shown as such, and a calibrated one is not."""

import numpy as np
import pytest

from tellapart.dataset import Sample
from tellapart.progress import silent
from tests.training.planted import NAMES, planted
from training.features import Features
from training.metrics import expected_calibration_error
from training.protocol import learn_and_judge
from training.reliability import calibration_evidence, calibration_words, debiased_error, reliability_bins


def calibrated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and classes drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(4, 0.5), n)
    return (probabilities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1), probabilities


def test_an_over_confident_head_is_shown_as_such_and_a_calibrated_one_is_not() -> None:
    targets, honest = calibrated(4000)
    bold = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    found = calibration_evidence(targets, bold, honest, 0)
    assert found["before"] > 0.1
    assert found["after"] < 0.03
    assert found["after"] <= found["by_chance_high"]
    assert "nothing says" in calibration_words(found)
    assert "less exact" in calibration_words(calibration_evidence(targets, bold, bold, 0))


def test_the_words_about_calibration_do_not_contradict_one_another() -> None:
    few = {"n": 96, "before": 0.117, "after": 0.188, "by_chance": 0.07, "by_chance_high": 0.116, "debiased": 0.0}
    words = calibration_words(few)
    assert "11.7 points on average before calibration, and by 18.8 after it, so on these pictures calibration" in words
    assert words.endswith("less exact than that.")
    better = calibration_words(few | {"before": 0.3, "debiased": 0.09})
    assert "made it worse" not in better
    assert better.endswith("it is off by 9.0 (root mean square).")


def test_training_repairs_an_over_confident_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.head.GRID", (10.0,))  # nearly no regularisation: far too sure
    values, targets = planted(900, 4, spread=0.25)
    split = np.where(np.arange(900) % 3 == 0, "test", "train")
    samples = [
        Sample(f"p{i}", int(t), f"p{i}", s, f"p{i}") for i, (t, s) in enumerate(zip(targets, split, strict=True))
    ]  # type: ignore[arg-type]
    outcome = learn_and_judge(Features(values, samples), NAMES, 0, silent)
    assert outcome.uncalibrated is not None
    found = calibration_evidence(outcome.judged.targets, outcome.uncalibrated, outcome.probabilities, 0)
    assert found["before"] > 0.08
    assert found["after"] < found["before"] / 2
    np.testing.assert_array_equal(outcome.probabilities.argmax(1), outcome.uncalibrated.argmax(1))


def test_few_pictures_show_a_calibration_error_by_chance() -> None:
    few, many = (calibration_evidence(t, p, p, 0)["by_chance"] for t, p in (calibrated(40), calibrated(4000)))
    assert few > 0.08
    assert many < 0.02


def test_what_chance_adds_is_taken_off_the_calibration_error() -> None:
    """Perfect confidence on few pictures shows 0 on average of squares; a wrong one shows all of what is wrong."""
    found = [debiased_error(*calibrated(60, seed)) for seed in range(40)]
    plain = [expected_calibration_error(*calibrated(60, seed)) for seed in range(40)]
    assert np.mean(found) < 0.6 * np.mean(plain)
    assert min(found) == 0
    bold = np.tile([0.9, 0.1], (1000, 1))  # always 90 % sure, right 6 times of 10
    right = np.repeat([0, 1], [600, 400])
    mixed = np.random.default_rng(0).permutation(right)
    assert debiased_error(mixed, bold) == pytest.approx(0.3, abs=0.01)


def test_the_debiased_error_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2]] * 4)
    # one bin, right once of four: (0.8 - 0.25)^2 - 0.25 * 0.75 / 3
    assert debiased_error(np.array([0, 1, 1, 1]), probabilities, bins=1) == pytest.approx(0.48990, abs=1e-5)
    assert debiased_error(np.zeros(0, dtype=np.int64), probabilities[:0]) == 0


def test_reliability_bins_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.88, 0.12], [0.4, 0.6]])
    low, high = reliability_bins(np.array([0, 1, 1]), probabilities)
    assert (low["n"], low["accuracy"], high["n"], high["accuracy"]) == (1, 1.0, 2, 0.5)
    assert high["confidence"] == pytest.approx(0.89)
    assert (high["low"], high["high"]) == pytest.approx((13 / 15, 14 / 15))
