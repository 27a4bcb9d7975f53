"""A planted truth for every claim of the report: what is wrong on purpose is found, and what is right is not blamed."""

from dataclasses import replace

import numpy as np
import pytest

from tellapart.dataset import Role
from tellapart.intervals import wilson
from tellapart.progress import silent
from tests.training.planted import NAMES, WIDTH, alone, as_features, planted
from training.curves_picture import draw_curves
from training.features import Features
from training.honesty import gather_evidence
from training.metrics import balanced_accuracy_interval, summarize
from training.protocol import learn_and_judge
from training.refits import Refits, learning_curves, random_split
from training.trust_words import more_pictures, set_aside_words, split_words, suspected_words, with_intervals
from training.words import Baseline, advice, largest_class


def test_a_leaking_duplicate_flatters_the_random_split_only() -> None:
    """Meaningless classes, every picture there three times: only a torn group can be answered rightly."""
    values, targets = planted(60, 3, spread=0.0)
    rng = np.random.default_rng(1)
    copies = np.repeat(values, 3, axis=0) + rng.normal(size=(180, WIDTH)).astype(np.float32) * 0.05
    found = random_split(Refits(copies, targets.repeat(3), alone(60).repeat(3), 3, 0.1, 0))
    assert found is not None
    assert found["random"]["accuracy"] > 0.7
    assert found["grouped"]["accuracy"] < 0.5
    assert found["grouped"]["accuracy_high"] < found["random"]["accuracy_low"]
    assert "would have shown" in split_words(found)
    row = found["grouped"]  # nearly as sure as of the 60 that are no copies of one another
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(wilson(60 * row["accuracy"], 60), abs=0.02)


def test_without_near_copies_there_is_nothing_to_compare() -> None:
    values, targets = planted(30, 3, spread=1.0)
    assert random_split(Refits(values, targets, alone(30), 3, 0.1, 0)) is None
    assert split_words(None) == ""


def test_a_class_that_still_improves_is_told_from_one_that_is_learned() -> None:
    """Two classes are far from all and need no more pictures, two are close and would gain from them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, WIDTH))
    centres[:2] *= 3
    centres[3] = centres[2] + rng.normal(size=WIDTH) * 0.35
    targets = np.arange(480) % 4
    values = (centres[targets] + rng.normal(size=(480, WIDTH))).astype(np.float32)
    rows = learning_curves(Refits(values, targets, alone(480), 4, 0.01, 0))
    assert not rows[0]["told"]
    assert rows[0]["gain"] < 0.01
    assert max(row["gain"] for row in rows[2:]) > 0.02
    assert any(row["told"] and row["gain_low"] <= row["gain"] <= row["gain_high"] for row in rows[2:])
    assert "no gain that can be told" in dict(more_pictures(dict(zip(NAMES, rows, strict=True))))["a"]


def test_a_handful_of_pictures_predicts_nothing() -> None:
    values, targets = planted(12, 3, spread=1.0)
    rows = learning_curves(Refits(values, targets, alone(12), 3, 0.01, 0))
    assert [row["told"] for row in rows] == [False] * 3
    assert more_pictures({"a": rows[0]}) == [("a", "cannot be told from so few pictures")]


def test_every_class_has_its_interval_and_few_pictures_are_said() -> None:
    metrics = summarize(np.repeat([0, 1], [10, 50]), np.repeat(np.eye(2)[[0, 1, 1]], [8, 2, 50], axis=0), ["a", "b"])
    a, b = with_intervals(metrics)
    assert a["found"] == pytest.approx((0.4902, 0.9433), abs=1e-4)  # 8 of 10
    assert a["believable"] == pytest.approx((0.6756, 1.0), abs=1e-4)  # 8 of 8
    assert (a["few"], b["few"]) == (True, False)


def test_how_believable_a_class_is_that_is_never_answered_is_not_told() -> None:
    metrics = summarize(np.array([0, 1, 1]), np.tile([0.1, 0.9], (3, 1)), ["a", "b"])
    assert [row["believable"] is None for row in with_intervals(metrics)] == [True, False]


def test_the_interval_of_balanced_accuracy_holds_its_value_and_narrows_with_pictures() -> None:
    few, many = (balanced_accuracy_interval(np.array([[9, 1], [0, 10]]) * times) for times in (1, 100))
    assert few[0] < many[0] < 0.95 < many[1] < few[1] < 1
    assert balanced_accuracy_interval(np.array([[8, 1], [1, 8]] * 1)) == pytest.approx(wilson(16, 18))
    many_classes = np.diag([9] * 6 + [6] * 4) + np.roll(np.diag([0] * 6 + [3] * 4), 1, axis=1)
    assert balanced_accuracy_interval(many_classes) == pytest.approx(wilson(78, 90))  # as sure as the accuracy
    # classes of 100 and 4, half of the 4 right: variance 0.25 / 4 / 4, so as sure as 12 pictures
    assert balanced_accuracy_interval(np.array([[100, 0], [2, 2]])) == pytest.approx(wilson(9, 12))
    assert balanced_accuracy_interval(np.diag([9, 9])) == pytest.approx(wilson(18, 18))
    assert balanced_accuracy_interval(np.zeros((2, 2), dtype=np.int64)) == (0.0, 1.0)


def test_what_a_machine_took_out_is_counted_and_said() -> None:
    values, targets = planted(120, 4, spread=1.5)
    features = as_features(values, targets)
    samples = [replace(s, class_index=(s.class_index + 1) % 4, role=Role.JUDGE) for s in features.samples[:12]]
    outcome = learn_and_judge(Features(values, samples + features.samples[12:]), NAMES, 0, silent)
    _, found = gather_evidence(outcome, values[:0], NAMES, 0, silent)
    assert (found["set_aside"]["pictures"], found["set_aside"]["right"]) == (12, 0)
    assert (found["set_aside"]["without"]["share"], found["set_aside"]["without"]["n"]) == (1.0, 108)
    assert set_aside_words(found["set_aside"]).startswith("12 of the pictures that judged were taken out")
    assert set_aside_words(found["set_aside"] | {"pictures": 1}).startswith("1 of the pictures that judged was taken")
    assert set_aside_words(None) == ""


def test_judging_pictures_that_are_almost_certainly_wrong_are_counted_and_said() -> None:
    """8 of the 40 that judge stand in the wrong class and are answered by what they show; the flagged rest learns."""
    values, targets = planted(160, 4, spread=1.5)
    samples = [
        replace(s, split="test" if i < 40 else "train", class_index=(s.class_index + (i < 8)) % 4)
        for i, s in enumerate(as_features(values, targets).samples)
    ]
    outcome = learn_and_judge(Features(values, samples), NAMES, 0, silent)
    flagged = {(s.class_index, s.sha256) for s in [*samples[:8], samples[100]]}
    _, found = gather_evidence(outcome, values[:0], NAMES, 0, silent, flagged)
    assert (found["suspected"]["pictures"], found["suspected"]["right"]) == (8, 0)
    assert (found["suspected"]["without"]["share"], found["suspected"]["without"]["n"]) == (1.0, 32)
    assert suspected_words(found["suspected"]).startswith(
        "8 of the 40 pictures it was measured on are almost certainly wrong themselves (“tellapart curate” shows "
        "them): without them 100 % (89 % to 100 %). "
    )
    assert gather_evidence(outcome, values[:0], NAMES, 0, silent)[1]["suspected"] is None
    assert suspected_words(None) == ""


def test_a_random_split_that_is_no_better_is_said_to_make_no_difference() -> None:
    def share(right: int) -> dict[str, float]:
        low, high = wilson(right, 100)
        return {"accuracy": right / 100, "accuracy_low": low, "accuracy_high": high}

    for right, told in ((82, False), (88, False), (95, True)):  # 84 of 100 may be 76 to 90 %
        words = split_words({"grouped": share(84), "random": share(right)})
        assert ("no difference that can be told" in words) is not told
        assert words.endswith("neither is the accuracy above.")


def test_curves_by_hand() -> None:
    rows = [
        {"epoch": 0, "train_loss": None, "val_loss": 2.0, "val_accuracy": 0.5},
        {"epoch": 2, "train_loss": 1.0, "val_loss": 1.5, "val_accuracy": 0.9},
    ]
    accuracy, loss = draw_curves(rows)
    assert (accuracy.bottom, accuracy.top, accuracy.last) == ("50%", "90%", 2)
    assert accuracy.lines[0].points == "40.0,190.0 280.0,40.0"
    assert [line.points for line in loss.lines] == ["40.0,40.0 280.0,115.0", "280.0,190.0"]
    assert draw_curves(rows[:1]) == []


def test_the_accuracy_stands_beside_what_the_largest_class_would_get() -> None:
    metrics = summarize(np.repeat([0, 1], [10, 30]), np.eye(2)[np.repeat([0, 1], [10, 30])], ["a", "b"])
    assert largest_class(metrics) == Baseline("b", 0.75)


@pytest.mark.parametrize(
    ("sure", "error", "words"),
    [
        (0.7, 0.2, "It is less sure than it is right: 70 % sure on average, and right for 90 %."),
        (0.86, 0.2, "Its confidence is off by more than ten points on average: do not decide by confidence alone."),
        (0.99, 0.2, "Its confidence is off by more than ten points on average: do not decide by confidence alone."),
        (0.84, 0.04, "Nothing stands out."),
    ],
)
def test_confidence_below_the_interval_of_the_accuracy_is_told_from_confidence_that_misleads(
    sure: float, error: float, words: str
) -> None:
    """180 of 200 are right, between 85 and 94 %; perfect confidence shows up to 5 points by chance."""
    bins = [{"n": 100, "confidence": sure - 0.01}, {"n": 100, "confidence": sure + 0.01}]
    metrics = {
        "accuracy": 0.9,
        "accuracy_low": 0.85,
        "accuracy_high": 0.94,
        "n": 200,
        "ece": error,
        "calibration": {"n": 200, "after": error, "by_chance_high": 0.05, "bins": bins},
        "suspected": None,
        "per_class": {"cat": {"recall": 0.9, "support": 200}},
        "confusion": [[200]],
    }
    (line,) = advice(metrics, {"counts": {"cat": 200}, "skipped": {}})
    assert line.startswith(words)
