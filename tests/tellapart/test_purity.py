import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tellapart.actions import apply, carry_out, undo
from tellapart.dataset import Dataset
from tellapart.decisions import Action, AuditItem, Decisions
from tellapart.errors import DataError, UsageError
from tellapart.flags import Suspect, store_flags
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status
from tellapart.purity import OTHERS, SUSPECTS, answer, draw_sample, estimate, estimate_from


def add_cats(dataset, numbers):
    rows = [Attempt(f"u/{i}", "cat", Status.KEPT, Reason.OK, sha256=f"{i:064}") for i in numbers]
    dataset.manifest.add(rows)
    return [a.sha256 for a in rows]


@pytest.fixture
def cats(tmp_path: Path) -> Dataset:
    """Twenty cats, five of them suspects."""
    dataset = Dataset.create(tmp_path / "pets", "pets", parse_class_names(("cat", "dog")), ["urls"])
    digests = add_cats(dataset, range(20))[:5]
    store_flags(dataset, [Suspect(d, "cat", "off_topic", 0.9, "odd", "look") for d in digests])
    return dataset


def items(stratum, size, right, wrong):
    return [AuditItem("cat", f"{stratum}{i}", stratum, size, i < right) for i in range(right + wrong)]


def test_a_sample_has_both_strata_and_is_the_same_again(cats):
    drawn = draw_sample(cats, "cat", size=8)
    assert [(i.stratum_size, i.right) for i in drawn if i.stratum == SUSPECTS] == [(5, None)] * 4
    assert [(i.stratum_size, i.right) for i in drawn if i.stratum == OTHERS] == [(15, None)] * 4
    assert draw_sample(cats, "cat", size=8) == drawn


def test_another_seed_draws_another_sample(cats, tmp_path):
    other = Dataset.create(tmp_path / "others", "others", cats.classes, ["urls"])
    add_cats(other, range(20))
    add_cats(again := Dataset.create(tmp_path / "again", "again", cats.classes, ["urls"]), range(20))
    assert draw_sample(other, "cat", size=8) != draw_sample(again, "cat", size=8, seed=1)


@pytest.mark.parametrize(("size", "suspects"), [(2, 1), (12, 5), (20, 5), (99, 5)])
def test_a_sample_is_filled_up_as_far_as_there_are_pictures(cats, size, suspects):
    drawn = draw_sample(cats, "cat", size=size)
    assert len(drawn) == min(size, 20)
    assert sum(i.stratum == SUSPECTS for i in drawn) == suspects
    with pytest.raises(UsageError, match="at least 2"):
        draw_sample(cats, "cat", size=1)


def test_answers_are_stored_and_give_the_share(cats):
    drawn = draw_sample(cats, "cat", size=20)
    for item in drawn:
        answer(cats, "cat", item.sha256, item.stratum == OTHERS)
    found = estimate(cats, "cat")
    assert (found.share, found.low, found.high) == (0.75, 0.75, 0.75)
    assert (found.answered, found.asked, found.pictures) == (20, 20, 20)
    answer(cats, "cat", drawn[0].sha256, None)
    assert estimate(cats, "cat").answered == 19


def test_a_suspect_that_is_right_is_none_any_more_until_that_is_taken_back(cats):
    drawn = [item.sha256 for item in draw_sample(cats, "cat", size=8) if item.stratum == SUSPECTS]
    flags = [Suspect(sha256, "cat", "off_topic", 0.9, "odd", "look") for sha256 in drawn]

    def flagged():
        return {a.sha256 for a in cats.manifest.kept() if a.flags} & set(drawn)

    for sha256, right in zip(drawn, (True, True, False, True), strict=True):
        answer(cats, "cat", sha256, right)
    assert flagged() == {drawn[2]}
    answer(cats, "cat", drawn[1], None)
    answer(cats, "cat", drawn[3], False)
    add_cats(cats, range(60, 80))
    Decisions(cats.manifest).draw("cat", [])
    assert [s.sha256 for s in store_flags(cats, flags)] == sorted(drawn[1:])
    assert flagged() == set(drawn[1:])
    assert undo(cats, by="person") == [], "an answer is no decision that the review page takes back"


def test_suspects_that_proved_right_stay_in_their_stratum_so_that_wrong_ones_do_not_outweigh_them(cats):
    for item in draw_sample(cats, "cat", size=8):
        answer(cats, "cat", item.sha256, True)
    assert {i.stratum_size for i in draw_sample(cats, "cat", size=12) if i.stratum == SUSPECTS} == {5}
    assert estimate(cats, "cat").share == 1


def test_what_is_no_longer_there_is_not_brought_back_by_an_answer(cats):
    gone = draw_sample(cats, "cat", size=8)[0].sha256
    apply(cats, [Action("remove", "cat", gone)])
    answer(cats, "cat", gone, True)
    carry_out(cats)
    assert gone not in [a.sha256 for a in cats.manifest.kept()]


def test_asking_for_more_or_for_less_loses_no_answer(cats):
    for item in draw_sample(cats, "cat", size=8):
        answer(cats, "cat", item.sha256, True)
    more = draw_sample(cats, "cat", size=12)
    assert (len(more), sum(item.right is True for item in more)) == (12, 8)
    assert draw_sample(cats, "cat", size=4) == more


def test_a_class_that_changed_is_sampled_anew_and_known_answers_go_along(cats):
    for item in draw_sample(cats, "cat", size=20):
        answer(cats, "cat", item.sha256, True)
    gone = cats.manifest.kept("cat")[:2]
    cats.manifest.set_status(gone, Status.QUARANTINED, Reason.REMOVED)
    (new,) = add_cats(cats, [50])
    drawn = draw_sample(cats, "cat", size=20)
    assert {a.sha256 for a in gone}.isdisjoint(i.sha256 for i in drawn)
    assert [i.sha256 for i in drawn if i.right is None] == [new]
    assert estimate(cats, "cat").pictures == 19


def test_a_picture_nobody_asked_about_has_no_answer(cats):
    draw_sample(cats, "cat", size=8)
    with pytest.raises(DataError, match="ffffffffffff is not in the sample of 'cat'"):
        answer(cats, "cat", "f" * 64, True)


def test_strata_count_by_their_size():
    found = estimate_from(items(SUSPECTS, 20, 2, 8) + items(OTHERS, 180, 9, 1))
    assert found.share == pytest.approx(0.1 * 0.2 + 0.9 * 0.9)
    assert found.low < found.share < found.high


def test_one_stratum_is_wilsons_interval_with_the_finite_population_correction():
    found = estimate_from(items(OTHERS, 10_000_000, 8, 2))
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    small = estimate_from(items(OTHERS, 40, 8, 2))
    assert 0.8 - small.low == pytest.approx((0.8 - found.low) * math.sqrt(0.75), abs=1e-6)


def test_nothing_is_claimed_before_each_stratum_has_an_answer(cats):
    nobody_asked = [replace(i, right=None) for i in items(SUSPECTS, 20, 2, 0)]
    found = estimate_from(nobody_asked + items(OTHERS, 80, 9, 1))
    assert (found.share, found.low, found.high, found.answered) == (None, 0.0, 1.0, 10)
    assert estimate(cats, "dog").share is None


@pytest.mark.parametrize("purity", [(0.3, 0.95), (0.6, 0.99), (0.0, 0.8)])
def test_the_estimate_is_unbiased_and_the_interval_covers_the_truth(purity):
    """400 audits of 30 of a class of 300 with 60 suspects, of each of which the truth is known."""
    rng = np.random.default_rng(0)
    right = {name: rng.random(n) < p for name, n, p in zip((SUSPECTS, OTHERS), (60, 240), purity, strict=True)}
    truth = np.concatenate(list(right.values())).mean()
    found = []
    for _ in range(400):
        drawn = {name: rng.choice(values, 15, replace=False) for name, values in right.items()}
        sample = [
            AuditItem("cat", f"{name}{i}", name, len(right[name]), bool(yes))
            for name, values in drawn.items()
            for i, yes in enumerate(values)
        ]
        found.append(estimate_from(sample))
    assert np.mean([f.share for f in found]) == pytest.approx(truth, abs=0.01)
    assert np.mean([f.low <= truth <= f.high for f in found]) >= 0.92
