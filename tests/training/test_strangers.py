"""Saying "none of these": strangers are turned away, known pictures are not, and what is reported is so."""

from typing import Any

import numpy as np
import pytest

from tellapart.none_of_these import ALWAYS_ANSWERS, LEAST_PICTURES
from tellapart.progress import silent
from tellapart.rejection import unit
from tests.training.planted import NAMES, WIDTH, alone, as_features, planted
from training.head import Choice, fit_head
from training.honesty import gather_evidence
from training.protocol import Outcome, learn_and_judge
from training.protocol_names import Protocol
from training.refits import Refits
from training.stranger_evidence import Round, learn_rule
from training.strangers import learn_rejection, spacing
from training.trust_words import rejection_words


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
    assert rejection_words(None, n)[0].endswith("none of these (39 held back from learning; at least 40 are needed).")
    assert rejection_words(None)[0] == ALWAYS_ANSWERS


def test_two_classes_can_reject_but_none_is_left_out() -> None:
    values, targets = planted(80, 2, spread=2.0)
    outcome = learn_and_judge(as_features(values, targets), NAMES[:2], 0, silent)
    outcome, found = gather_evidence(outcome, values[:0], NAMES[:2], 0, silent)
    assert outcome.head.rejection is not None
    assert found["none_of_these"]["false_accept"] is None
    assert found["none_of_these"]["false_reject"]["n"] == 80


def test_a_class_is_left_out_by_as_many_folds_as_set_a_threshold_on_the_others() -> None:
    """The fold whose turn it is holds out nothing but the large class."""
    targets = np.repeat(np.arange(3), [2, 2, 36])
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(40, WIDTH)) + 3 * np.eye(3, WIDTH)[targets]).astype(np.float32)
    groups = np.where(targets < 2, targets, 3 + np.arange(40)).astype(np.str_)
    learned = learn_rejection(Refits(values, targets, groups, 3, 0.01, 0), values[:0], 1.0)
    assert learned is not None
    assert {c: share.n for c, share in learned[1].left_out.items()} == {0: 2, 1: 2, 2: 36}


@pytest.mark.parametrize(("count", "looked_at"), [(60, 45), (120, 60), (240, 60)])
def test_others_enough_for_a_threshold_are_looked_at_where_a_class_is_left_out(
    count: int, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 180 others a third is enough; of 90 it takes two thirds, of 45 all."""
    rounds: list[Round] = []
    monkeypatch.setattr("training.strangers.measure", rounds.extend)
    values, targets = planted(count, 4, spread=1.5)
    learn_rejection(Refits(values, targets, alone(count), 4, 0.01, 0), values[:0], 1.0)
    for c in range(4):
        assert sum(len(r.known) for r in rounds if r.left_out == c) == pytest.approx(looked_at, abs=1)
        assert sum(len(r.strangers) for r in rounds if r.left_out == c) == count // 4


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
