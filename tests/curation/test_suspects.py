"""Suspects on features with planted truth: five clusters, some labels turned, some pictures of no cluster."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from curation.flagging import flag_suspects
from curation.label_errors import LabelErrors
from curation.out_of_fold import ask
from curation.quality import Quality
from curation.suspects import Judgement, Names, find_suspects, judge
from tellapart.actions import apply
from tellapart.decisions import Action
from tellapart.flags import Suspect, from_flags, in_order, store_flags

CLASSES = 5
SHARP = Quality(200, 500, 256)


@dataclass(frozen=True)
class Planted:
    """Features (N, 24) whose truth is known; class -1 is a stranger."""

    features: np.ndarray
    targets: np.ndarray
    truth: np.ndarray
    groups: np.ndarray

    @property
    def turned(self):
        return (self.truth >= 0) & (self.truth != self.targets)

    @property
    def strange(self):
        return self.truth < 0

    @property
    def names(self):
        slugs = [f"class-{i}" for i in range(self.targets.max() + 1)]
        return Names([f"{i:04}" for i in range(len(self.targets))], slugs, [s.upper() for s in slugs])


def plant(seed, per_class=40, turned=0.2, strangers=0.1):
    rng = np.random.default_rng(seed)
    centres = np.abs(rng.normal(0, 2, (CLASSES, 24)))
    truth = np.repeat(np.arange(CLASSES), per_class)
    features = centres[truth] + rng.normal(0, 1, (len(truth), 24))
    targets = truth.copy()
    chosen = rng.choice(len(truth), int(turned * len(truth)), replace=False)
    targets[chosen] = (truth[chosen] + rng.integers(1, CLASSES, len(chosen))) % CLASSES
    count = int(strangers * len(truth))
    features = np.concatenate([features, -np.abs(rng.normal(0, 2, (count, 24)))]).astype(np.float32)
    targets = np.concatenate([targets, rng.integers(0, CLASSES, count)])
    truth = np.concatenate([truth, np.full(count, -1)])
    return Planted(features, targets, truth, np.array([f"g{i}" for i in range(len(truth))]))


def precision_at_recall(scores, wanted, recall):
    order = np.argsort(-scores)
    found = np.cumsum(wanted[order])
    enough = int(np.searchsorted(found, recall * wanted.sum()))
    return found[enough] / (enough + 1)


def suspects_of(p, seed=0):
    return find_suspects(p.features, p.targets, p.groups, p.names, seed=seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_turned_labels_and_strangers_are_ranked_first(seed):
    p = plant(seed)
    found = judge(p.features, p.targets, p.groups, CLASSES)
    assert roc_auc_score(p.strange, found.off_topic) >= 0.95
    own_kind = np.where(p.strange, 0, found.label_errors.scores)
    assert precision_at_recall(own_kind, p.turned, 0.8) >= 0.9
    assert (found.label_errors.suggested == p.truth)[p.turned].mean() >= 0.95


def test_strangers_that_are_like_one_another_give_each_other_away():
    """Twenty pictures between all classes, about one spot; each by itself, they would reach 0.91."""
    known, strange = np.repeat(np.arange(CLASSES), 40), np.arange(220) >= 200
    areas = []
    for seed in (0, 1, 5):
        rng = np.random.default_rng(seed)
        centres = rng.normal(0, 1.2, (CLASSES, 24))
        between = centres.mean(axis=0) + rng.normal(0, 1, 24)
        features = np.concatenate([centres[known], np.tile(between, (20, 1))]) + rng.normal(0, 1.5, (220, 24))
        targets = np.concatenate([known, rng.integers(0, CLASSES, 20)])
        found = judge(features.astype(np.float32), targets, np.arange(220).astype(np.str_), CLASSES)
        areas.append(roc_auc_score(strange, found.off_topic))
    assert np.mean(areas) >= 0.93


def test_small_differences_of_many_features_do_not_say_what_is_alike():
    """24 features tell the classes apart, 300 are small noise, which would drown them if all counted alike."""
    p = plant(0, turned=0, strangers=0)
    noise = np.random.default_rng(1).normal(0, 0.1, (len(p.targets), 300))
    features = np.concatenate([p.features, noise], axis=1).astype(np.float32)
    spread = ask(features, p.targets, p.groups, CLASSES, 0).spread
    assert (spread.argmax(axis=1) == p.truth).mean() >= 0.97


def test_a_suspect_says_why_and_what_to_do():
    p = plant(0)
    found = {s.sha256: s for s in suspects_of(p)}
    turned = [found[f"{i:04}"] for i in np.flatnonzero(p.turned) if f"{i:04}" in found]
    right = [s for s in turned if s.kind == "label_error" and s.suggested_slug == f"class-{p.truth[int(s.sha256)]}"]
    assert len(right) >= 0.9 * p.turned.sum()
    worst = max(right, key=lambda s: s.score)
    i = int(worst.sha256)
    assert worst.reason == f"looks like 'CLASS-{p.truth[i]}', not 'CLASS-{p.targets[i]}'"
    assert (worst.action, worst.confident, worst.class_slug) == ("move", True, f"class-{p.targets[i]}")
    strange = [found[f"{i:04}"] for i in np.flatnonzero(p.strange) if f"{i:04}" in found]
    assert {s.action for s in strange if s.kind == "off_topic" and s.confident} == {"remove"}
    assert "unlike the other pictures" in next(s for s in strange if s.kind == "off_topic").reason


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_confident_is_wrong_and_a_clean_data_set_has_next_to_none(seed):
    p = plant(seed)
    confident = [int(s.sha256) for s in suspects_of(p) if s.confident]
    wrong = p.turned | p.strange
    assert wrong[confident].mean() >= 0.9
    assert len(confident) >= 0.5 * wrong.sum()
    clean = plant(seed, turned=0, strangers=0)
    assert sum(s.confident for s in suspects_of(clean)) <= 0.02 * len(clean.targets)


def test_where_many_labels_are_wrong_less_evidence_will_do():
    def judgement(counted):
        errors = LabelErrors(np.array([0.85] * 10, np.float32), np.zeros(10, np.int64), np.arange(10) < counted)
        return Judgement(np.zeros(10, np.float32), np.zeros(10, np.bool_), errors)

    assert [judgement(counted).is_confident_error(0) for counted in (1, 2)] == [False, True]


def test_the_same_seed_gives_the_same_suspects():
    assert suspects_of(plant(3)) == suspects_of(plant(3))


def test_copies_with_the_same_wrong_label_do_not_vouch_for_one_another():
    p = plant(0, turned=0, strangers=0)
    copies, away = np.repeat(p.features[:1], 12, axis=0), (p.targets[0] + 1) % CLASSES
    features = np.concatenate([p.features, copies + np.random.default_rng(0).normal(0, 0.01, copies.shape)])
    targets = np.concatenate([p.targets, np.full(12, away)])
    apart = np.concatenate([p.groups, [f"copy{i}" for i in range(12)]])
    together = np.concatenate([p.groups, ["copies"] * 12])
    scores = [
        judge(features.astype(np.float32), targets, groups, CLASSES).label_errors.scores[-12:]
        for groups in (together, apart)
    ]
    assert scores[0].min() > 0.9
    assert scores[1].mean() < scores[0].mean()


def test_a_class_with_one_picture_is_not_accused():
    p = plant(0, turned=0, strangers=0)
    targets = p.targets.copy()
    targets[0] = CLASSES
    found = judge(p.features, targets, p.groups, CLASSES + 1)
    assert found.label_errors.scores[0] == 0
    assert np.isfinite(found.off_topic).all()


@pytest.mark.parametrize("count", [0, 1, 19])
def test_few_pictures_are_judged_by_quality_alone(count):
    names = Names([f"{i}" for i in range(count)], ["a", "b"], ["A", "B"])
    blank = {"0": Quality(0, 0, 256)}
    groups = np.array(names.digests, dtype=np.str_)
    found = find_suspects(np.zeros((count, 3), np.float32), np.arange(count) % 2, groups, names, blank)
    assert [(s.sha256, s.kind) for s in found] == [("0", "low_quality")][:count]


def test_pictures_that_are_all_alike_break_nothing():
    n = 40
    names = Names([str(i) for i in range(n)], ["a", "b"], ["A", "B"])
    groups = np.array(names.digests, dtype=np.str_)
    found = find_suspects(np.ones((n, 4), np.float32), np.arange(n) % 2, groups, names)
    assert not any(s.confident for s in found)
    assert judge(np.ones((n, 4), np.float32), np.zeros(n, np.int64), np.array(["one"] * n), 2).off_topic.shape == (n,)


def test_low_quality_comes_before_the_other_kinds():
    p = plant(0)
    turned = f"{np.flatnonzero(p.turned)[0]:04}"
    qualities = {turned: Quality(3, 0, 256)}
    found = find_suspects(p.features, p.targets, p.groups, p.names, qualities)
    (mine,) = [s for s in found if s.sha256 == turned]
    assert (mine.kind, mine.action, mine.confident) == ("low_quality", "remove", True)


@pytest.fixture
def noisy(make_dataset, make_photo):
    """A data set of 24 pictures in two classes, with features; picture 0 of the cats is really a dog."""
    rows = [("cat", make_photo(i)) for i in range(12)] + [("dog", make_photo(100 + i)) for i in range(12)]
    dataset = make_dataset(rows)
    samples = dataset.samples()
    wrong = next(s.sha256 for s in samples if s.class_index == 0)
    rng = np.random.default_rng(0)
    shows = np.array([1 if s.sha256 == wrong else s.class_index for s in samples])
    features = np.where(shows[:, None], [[0, 0, 5, 5]], [[5, 5, 0, 0]]) + rng.normal(0, 0.5, (24, 4))
    return dataset, samples, features.astype(np.float32), wrong


def test_suspects_are_flagged_in_the_manifest(noisy):
    dataset, samples, features, wrong = noisy
    found = flag_suspects(dataset, samples, features)
    assert [s.sha256 for s in found if s.kind != "low_quality"] == [wrong]
    assert [(s.sha256, s.kind) for s in from_flags(dataset.manifest.kept())] == [(s.sha256, s.kind) for s in found]
    assert all(a.status == "kept" for a in dataset.manifest.attempts())


def test_what_judges_has_no_say_in_what_is_learned_from(make_dataset, make_photo):
    """The labels of all test pictures are turned around."""
    rows = [(name, make_photo(i + 100 * k)) for k, name in enumerate(("cat", "dog")) for i in range(24)]
    dataset = make_dataset(rows)
    samples = [replace(s, split="test" if i % 2 else "train") for i, s in enumerate(dataset.samples())]
    features = np.random.default_rng(3).normal(size=(48, 4)).astype(np.float32)
    features[:, 0] += [12.0 * s.class_index for s in samples]
    features[0, 0] += 12.0

    def of_train(turned):
        labelled = [replace(s, class_index=1 - s.class_index) if turned and s.split == "test" else s for s in samples]
        found = flag_suspects(dataset, labelled, features)
        learned = {s.sha256 for s in samples if s.split == "train"}
        return [s for s in found if s.sha256 in learned]

    assert samples[0].sha256 in [s.sha256 for s in of_train(turned=False)]
    assert of_train(turned=False) == of_train(turned=True)


def test_what_a_person_kept_is_no_suspect(noisy):
    dataset, samples, features, wrong = noisy
    apply(dataset, [Action("keep", "cat", wrong)])
    assert wrong not in [s.sha256 for s in flag_suspects(dataset, samples, features)]


def test_flags_come_back_as_they_were_and_go_when_the_suspect_is_cleared(noisy):
    dataset, samples, *_ = noisy
    digests = [s.sha256 for s in samples if s.class_index == 0]
    first = Suspect(digests[0], "cat", "off_topic", 0.875, "is “odd”, 'as such'", "look")
    second = Suspect(digests[1], "cat", "label_error", 0.99, "looks like a dog", "move", "dog", True)
    store_flags(dataset, [second, first])
    assert from_flags(dataset.manifest.kept()) == [first, second] == in_order([second, first])
    store_flags(dataset, [])
    assert from_flags(dataset.manifest.kept()) == []


def test_what_came_or_was_decided_while_a_search_looked_is_left_as_it_is(noisy, add, make_photo):
    dataset, samples, features, wrong = noisy
    moved = samples[1].sha256

    def look_slowly(progress):
        """Another search ends meanwhile that has seen a new picture, and a person decides about two others."""
        if progress.stage != "suspects" or progress.finished or len(dataset.manifest.kept()) > len(samples):
            return
        add(dataset, [("dog", make_photo(50))], start=24)
        newest = next(a.sha256 for a in dataset.manifest.kept("dog") if a.url == "u/24")
        store_flags(dataset, [Suspect(newest, "dog", "off_topic", 0.9, "odd", "look")])
        apply(dataset, [Action("keep", "cat", wrong), Action("move", "cat", moved, "dog")])
        dataset.manifest.assign("flags", {moved: '{"kind":"of the class it stands in now"}'})

    found = flag_suspects(dataset, samples, features, report=look_slowly)
    flags = {a.url: a.flags for a in dataset.manifest.kept() if a.flags}
    assert not {wrong, moved} & {s.sha256 for s in found}
    assert '"odd"' in flags["u/24"]
    assert "stands in now" in next(a.flags for a in dataset.manifest.kept("dog") if a.sha256 == moved)
