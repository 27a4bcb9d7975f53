"""A planted truth for every claim of the report: what is wrong on purpose is found, and what is right is not blamed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart.dataset import Role, Sample
from tellapart.progress import silent
from tellapart.rejection import unit
from training.curves_picture import draw_curves
from training.features import Features
from training.head import Choice, fit_head
from training.honesty import gather_evidence
from training.metrics import balanced_accuracy_interval, expected_calibration_error, summarize
from training.protocol import Outcome, learn_and_judge
from training.protocol_names import Protocol
from training.refits import Refits, learning_curves, random_split
from training.reliability import calibration_evidence, calibration_words, debiased_error, reliability_bins
from training.selective import selective_table, threshold_for
from training.stranger_evidence import learn_rule
from training.strangers import LEAST_PICTURES, learn_rejection, spacing
from training.trust_words import more_pictures, rejection_words, set_aside_words, split_words, with_intervals
from training.words import Baseline, largest_class

NAMES = ["a", "b", "c", "d"]
WIDTH = 40


def planted(n: int, classes: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 40) around class centres `spread` long in each direction, and class indices."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(42).normal(size=(classes, WIDTH)) * spread
    targets = np.arange(n) % classes
    return (centres[targets] + rng.normal(size=(n, WIDTH))).astype(np.float32), targets


def alone(n: int) -> np.ndarray:
    return np.arange(n).astype(np.str_)


def as_features(values: np.ndarray, targets: np.ndarray) -> Features:
    samples = [Sample(Path(f"p{i}"), int(t), f"p{i}", "train", f"p{i}") for i, t in enumerate(targets)]
    return Features(values, samples)


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


def test_without_near_copies_there_is_nothing_to_compare() -> None:
    values, targets = planted(30, 3, spread=1.0)
    assert random_split(Refits(values, targets, alone(30), 3, 0.1, 0)) is None
    assert split_words(None) == ""


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


def test_the_threshold_of_a_promise_by_hand() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.6])
    correct = np.array([True, True, False, True, True])
    assert threshold_for(confidence, correct, 1.0) == 0.8
    assert threshold_for(confidence, correct, 0.8) == 0.6
    assert threshold_for(np.array([0.5, 0.5]), np.array([True, False]), 0.9) is None  # equals stand or fall together
    assert threshold_for(np.zeros(0), np.zeros(0, dtype=bool), 0.9) is None


def test_the_selective_table_by_hand() -> None:
    """Half of 400 answers are 0.95 sure and always right, the rest 0.6 sure and right every second time."""
    targets = np.zeros(400, dtype=np.int64)
    probabilities = np.array([[0.95, 0.05]] * 200 + [[0.6, 0.4], [0.4, 0.6]] * 100)
    first, *_, last = selective_table(targets, probabilities)
    assert (last["threshold"], last["answered"], last["n"], last["accuracy"]) == (0.95, 200, 400, 1.0)
    assert (last["share"], last["right"]) == (0.5, 200)
    assert last["accuracy_low"] == pytest.approx(0.9812, abs=1e-4)
    assert first["proved"]
    assert not last["proved"]  # 200 of 200 do not prove 99 %


def test_a_lucky_threshold_is_not_believed() -> None:
    """Confidence means nothing, four of five are right: tried where it was set, a threshold would keep any promise."""
    right = answered = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        top = rng.uniform(0.6, 1, 60)
        row = selective_table((rng.random(60) > 0.8).astype(np.int64), np.stack([top, 1 - top], axis=1), [0.95])[0]
        right, answered = right + row["right"], answered + row["answered"]
    assert answered > 100
    assert right / answered < 0.9


@pytest.fixture(scope="module")
def strange() -> tuple[Any, Any, np.ndarray]:
    values, targets = planted(240, 4, spread=1.5)
    learned = learn_rejection(Refits(values, targets, alone(240), 4, 0.01, 0), values[:0], 1.0)
    rng = np.random.default_rng(5)
    strangers = rng.normal(size=(200, WIDTH)).astype(np.float32) + np.float32(3) * rng.normal(size=WIDTH)
    return learned, values, strangers.astype(np.float32)


def test_a_strange_class_is_rejected_and_a_known_one_is_not(strange: Any) -> None:
    (rejection, evidence), values, strangers = strange
    head = fit_head(values, np.arange(240) % 4, 4, 0.01)
    assert rejection.none_of_these(strangers, head.probabilities(strangers)).mean() > 0.9
    known, _ = planted(400, 4, spread=1.5, seed=9)
    assert rejection.none_of_these(known, head.probabilities(known)).mean() < 0.12
    assert evidence.false_reject.count / evidence.false_reject.n == pytest.approx(0.05, abs=0.04)
    assert sorted(evidence.left_out) == [0, 1, 2, 3]
    assert sum(s.count for s in evidence.left_out.values()) < 0.35 * 240


def test_of_many_pictures_some_of_every_class_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.strangers.EXEMPLARS", 40)
    values, targets = planted(240, 4, spread=1.5)
    rare = (targets != 3) | (np.arange(240) < 40)  # ten pictures of the last class
    learned = learn_rejection(Refits(values[rare], targets[rare], alone(int(rare.sum())), 4, 0.01, 0), values[:0], 1.0)
    assert learned is not None
    cosines = learned[0].exemplars @ unit(values[rare]).T
    kept = targets[rare][cosines.argmax(axis=1)]
    assert np.bincount(kept).tolist() == [10, 10, 10, 10]
    assert cosines.max(axis=1) == pytest.approx(1, abs=1e-3)


def test_copies_of_one_picture_do_not_put_everything_else_far_away() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(30, WIDTH)).astype(np.float32))
    rows[:8] = rows[0]
    found = spacing(rows)
    assert found[:8] == pytest.approx(0.25 * np.median(found), rel=1e-3)
    hand = unit(np.array([[1, 0], [0, 1]], np.float32))
    assert spacing(hand) == pytest.approx([1, 1])  # each is as far as the only other: 1 - cosine 0


def test_what_is_learned_is_what_the_bundle_keeps(strange: Any) -> None:
    rule = strange[0][0]
    np.testing.assert_array_equal(rule.exemplars, rule.exemplars.astype(np.float16))


def test_weights_undo_how_much_known_pictures_differ() -> None:
    known = np.random.default_rng(0).normal(size=(2000, 4)) * [1, 10, 0.1, 0]
    rule = learn_rule(known)
    assert rule.weights == pytest.approx([1, 0.1, 10], rel=0.05)
    assert rule.familiar == 0
    assert (~rule.lets_through(known)).mean() == pytest.approx(0.05, abs=1e-3)


def test_score_and_familiarity_turn_away_equal_shares_and_together_what_is_stated() -> None:
    known = np.random.default_rng(0).normal(size=(2000, 4))
    rule = learn_rule(known)
    by_score, familiar = known[:, :3] @ rule.weights < rule.threshold, known[:, 3] < rule.familiar
    assert (by_score | familiar).mean() == pytest.approx(0.05, abs=2e-3)
    assert by_score.mean() == pytest.approx(familiar.mean(), abs=2e-3)


def test_strangers_that_look_like_a_class_are_reported_as_let_through() -> None:
    values, targets = planted(240, 4, spread=0.05)
    learned = learn_rejection(Refits(values, targets, alone(240), 4, 0.001, 0), values[:0], 1.0)
    assert learned is not None
    shares = learned[1].left_out.values()
    assert sum(s.count for s in shares) > 0.8 * sum(s.n for s in shares)


def test_given_strangers_teach_and_are_judged_by_heads_that_had_not_seen_them(strange: Any) -> None:
    _, values, strangers = strange
    learned = learn_rejection(Refits(values, np.arange(240) % 4, alone(240), 4, 0.01, 0), strangers[:50], 1.0)
    assert learned is not None
    assert learned[1].given is not None
    assert (learned[1].given.n, learned[1].given.count < 5) == (50, True)


def test_strangers_too_few_to_set_a_threshold_on_teach_nothing(strange: Any) -> None:
    _, values, strangers = strange
    learned = learn_rejection(Refits(values, np.arange(240) % 4, alone(240), 4, 0.01, 0), strangers[:4], 1.0)
    assert learned is not None
    assert (learned[0].versus_weight, learned[0].familiar) == (None, 0)


def test_a_head_that_has_not_seen_the_pictures_turns_away_no_more_known_ones_than_stated() -> None:
    """As after fine-tuning: nearness to means of the very pictures that set the threshold would be flattered."""
    rng = np.random.default_rng(1)
    centres = 0.25 * rng.normal(size=(4, 400))
    values = (centres[np.arange(880) % 4] + rng.normal(size=(880, 400))).astype(np.float32)
    pictures = as_features(values, np.arange(880) % 4)
    learned, chosen, judged = (pictures.part(np.arange(880) // 240 == i) for i in range(3))
    chosen = chosen.part(np.arange(240) < 80)
    head = fit_head(learned.values, learned.targets, 4, 0.001)
    outcome = Outcome(
        head, Choice(0.001, 1.0, 5), Protocol.TEST, judged, head.probabilities(judged.values), 240,
        learning=learned, unseen=chosen,
    )  # fmt: skip
    _, found = gather_evidence(outcome, values[:0], NAMES, 0, silent)
    assert found["none_of_these"]["false_reject"]["share"] < 0.12


def test_too_few_pictures_set_no_threshold() -> None:
    n = LEAST_PICTURES - 1
    values, targets = planted(n, 3, spread=2.0)
    assert learn_rejection(Refits(values, targets, alone(n), 3, 0.01, 0), values[:0], 1.0) is None
    assert "too few pictures" in rejection_words(None)[0]


def test_two_classes_can_reject_but_none_is_left_out() -> None:
    values, targets = planted(80, 2, spread=2.0)
    outcome = learn_and_judge(as_features(values, targets), NAMES[:2], 0, silent)
    outcome, found = gather_evidence(outcome, values[:0], NAMES[:2], 0, silent)
    assert outcome.head.rejection is not None
    assert found["none_of_these"]["false_accept"] is None
    assert found["none_of_these"]["false_reject"]["n"] == 80


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
    assert "cannot be told" in dict(more_pictures(dict(zip(NAMES, rows, strict=True))))["a"]


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


def test_the_interval_of_balanced_accuracy_holds_its_value_and_narrows_with_pictures() -> None:
    few, many = (balanced_accuracy_interval(np.array([[9, 1], [0, 10]]) * times) for times in (1, 100))
    assert few[0] < many[0] < 0.95 < many[1] < few[1] < 1
    assert balanced_accuracy_interval(np.zeros((2, 2), dtype=np.int64)) == (0.0, 1.0)


def test_what_a_machine_took_out_is_counted_and_said() -> None:
    values, targets = planted(120, 4, spread=1.5)
    features = as_features(values, targets)
    samples = [replace(s, class_index=(s.class_index + 1) % 4, role=Role.JUDGE) for s in features.samples[:12]]
    outcome = learn_and_judge(Features(values, samples + features.samples[12:]), NAMES, 0, silent)
    _, found = gather_evidence(outcome, values[:0], NAMES, 0, silent)
    assert (found["set_aside"]["pictures"], found["set_aside"]["right"]) == (12, 0)
    assert (found["set_aside"]["without"]["share"], found["set_aside"]["without"]["n"]) == (1.0, 108)
    assert "12 of the pictures that judged" in set_aside_words(found["set_aside"])
    assert set_aside_words(None) == ""


def test_given_strangers_between_the_classes_are_turned_away_once_they_were_seen() -> None:
    """A fifth class much like the first: nothing tells it from a hard picture but having seen some of it."""
    values, targets = planted(240, 4, spread=0.9)
    rng = np.random.default_rng(3)
    shift = values[targets == 0].mean(axis=0) + 0.6 * rng.normal(size=WIDTH)
    others = (rng.normal(size=(80, WIDTH)) + shift).astype(np.float32)
    head = fit_head(values, targets, 4, 0.01)
    shares = {}
    for n in (0, 10):
        learned = learn_rejection(Refits(values, targets, alone(240), 4, 0.01, 0), others[:n], 1.0)
        assert learned is not None
        rejection = learned[0]
        shares[n] = float((~rejection.none_of_these(others[10:], head.probabilities(others[10:]))).mean())
    assert (rejection.familiar != 0, rejection.versus_bias is not None) == (True, True)
    assert shares[10] < 0.35 < shares[0]
    known, _ = planted(400, 4, spread=0.9, seed=9)
    assert rejection.none_of_these(known, head.probabilities(known)).mean() < 0.12


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
