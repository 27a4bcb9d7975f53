"""Honest measuring: what judges has no say in what is chosen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import training.forked
import training.protocol
from tellapart.dataset import Role, Sample
from tellapart.errors import DataError
from tellapart.progress import Progress, silent
from training.features import Features
from training.protocol import learn_and_judge
from training.protocol_names import Protocol

NAMES = ["a", "b", "c"]


def made(splits: dict[str, int], groups_of: int = 1, spread: float = 0.6, seed: int = 0) -> Features:
    """So many pictures of each of three classes in each split; features 30 wide around class centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(42).normal(size=(3, 30)) * spread
    samples, rows = [], []
    for split, count in splits.items():
        for class_index in range(3):
            for i in range(count):
                name = f"{split}-{class_index}-{i}"
                group = f"{split}-{class_index}-{i // groups_of}"
                samples.append(Sample(Path(name), class_index, name, split, group))
                rows.append(centres[class_index] + rng.normal(size=30))
    return Features(np.array(rows, dtype=np.float32), samples)


def permuted(features: Features, split: str) -> Features:
    """The same with the labels of one split turned around."""
    samples = [replace(s, class_index=(s.class_index + 1) % 3) if s.split == split else s for s in features.samples]
    return Features(features.values, samples)


@pytest.mark.parametrize(
    ("splits", "judge", "protocol", "fitted"),
    [
        ({"train": 20, "val": 6, "test": 6}, "test", Protocol.TEST, 78),
        ({"train": 20, "val": 6}, "val", Protocol.VALIDATION, 60),
    ],
)
def test_held_out_labels_change_nothing_but_the_score(
    splits: dict[str, int], judge: str, protocol: Protocol, fitted: int
) -> None:
    features = made(splits, spread=1.0)
    honest = learn_and_judge(features, NAMES, 0, silent)
    turned = learn_and_judge(permuted(features, judge), NAMES, 0, silent)
    assert honest.protocol is turned.protocol is protocol
    assert honest.choice == turned.choice
    np.testing.assert_array_equal(honest.head.weight, turned.head.weight)
    assert honest.n_fitted == fitted
    assert {s.split for s in honest.judged.samples} == {judge}
    assert (honest.probabilities.argmax(1) == honest.judged.targets).mean() > 0.9
    assert (turned.probabilities.argmax(1) == turned.judged.targets).mean() < 0.1


def test_validation_pictures_help_learning_where_there_is_a_test_split() -> None:
    features = made({"train": 20, "val": 6, "test": 6})
    assert learn_and_judge(features, NAMES, 0, silent).choice != (
        learn_and_judge(permuted(features, "val"), NAMES, 0, silent).choice
    )


def test_cross_validation_judges_every_picture_once() -> None:
    seen: list[Progress] = []
    outcome = learn_and_judge(made({"train": 9}), NAMES, 0, seen.append)
    assert outcome.protocol is Protocol.CROSS_VALIDATION
    assert (seen[-1].done, seen[-1].unit) == (5, "folds")
    assert len({s.sha256 for s in outcome.judged.samples}) == 27
    assert outcome.n_fitted == 27
    np.testing.assert_allclose(outcome.probabilities.sum(axis=1), 1, atol=1e-5)


def test_cross_validation_never_learns_from_a_judged_picture_or_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    features = made({"train": 12}, groups_of=3)
    features = Features(np.arange(36, dtype=np.float32)[:, None].repeat(2, 1), features.samples)
    learned: list[set[int]] = []
    real = training.protocol.learn

    def watched(part: Features, *rest: object) -> object:
        learned.append({int(v) for v in part.values[:, 0]})
        return real(part, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training.protocol, "learn", watched)
    monkeypatch.setattr(training.forked, "cpus", lambda: 1)  # what other processes did would not be seen
    learn_and_judge(features, NAMES, 0, silent)
    whole, *folds = learned
    assert whole == set(range(36))
    groups = features.groups
    for inside in folds:
        outside = set(range(36)) - inside
        assert outside
        assert not {groups[i] for i in inside} & {groups[i] for i in outside}


def test_noise_is_not_flattered() -> None:
    """Labels that mean nothing: choosing among many C must not lift the score above chance."""
    scores = []
    for seed in range(4):
        outcome = learn_and_judge(made({"train": 20}, spread=0.0, seed=seed), NAMES, seed, silent)
        scores.append((outcome.probabilities.argmax(1) == outcome.judged.targets).mean())
    assert abs(np.mean(scores) - 1 / 3) < 0.12


def test_the_same_seed_repeats_exactly() -> None:
    one, two = (learn_and_judge(made({"train": 10}), NAMES, 3, silent) for _ in range(2))
    np.testing.assert_array_equal(one.head.weight, two.head.weight)
    np.testing.assert_array_equal(one.probabilities, two.probabilities)


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_with_too_few_pictures_is_named(count: int) -> None:
    features = made({"train": 4})
    keep = np.array([s.class_index != 1 or int(s.sha256[-1]) < count for s in features.samples])
    with pytest.raises(DataError, match=rf"class 'b' has {count} usable picture.*at least 2.*more pictures"):
        learn_and_judge(features.part(keep), NAMES, 0, silent)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_handful_of_pictures_is_enough(count: int) -> None:
    outcome = learn_and_judge(made({"train": count}, spread=3.0), NAMES, 0, silent)
    assert outcome.head.weight.shape == (3, 30)
    assert len(outcome.judged.samples) == 3 * count


def test_a_class_that_is_one_group_is_judged_wrong_not_skipped() -> None:
    features = made({"train": 6}, spread=3.0)
    samples = [replace(s, group_id="one") if s.class_index == 2 else s for s in features.samples]
    outcome = learn_and_judge(Features(features.values, samples), NAMES, 0, silent)
    answers = outcome.probabilities.argmax(1)
    assert len(answers) == 18
    assert not (answers[outcome.judged.targets == 2] == 2).any()
    assert (answers[outcome.judged.targets != 2] == outcome.judged.targets[outcome.judged.targets != 2]).mean() > 0.7


def test_taking_the_hard_pictures_out_by_machine_does_not_raise_the_accuracy() -> None:
    """A third of the pictures lies among another class. A machine takes them out; nobody has looked."""
    features = made({"train": 120})
    rng = np.random.default_rng(7)
    hard = rng.random(len(features.samples)) < 1 / 3
    values = features.values.copy()
    values[hard] = features.values[rng.permutation(np.flatnonzero(hard))]
    roles = [Role.JUDGE if h else Role.BOTH for h in hard]
    samples = [replace(s, role=role) for s, role in zip(features.samples, roles, strict=True)]
    before = learn_and_judge(Features(values, features.samples), NAMES, 0, silent)
    after = learn_and_judge(Features(values, samples), NAMES, 0, silent)
    gone = learn_and_judge(Features(values, samples).part(~hard), NAMES, 0, silent)
    assert accuracy(gone) > accuracy(before) + 0.15  # what a person would be told were they gone
    assert accuracy(after) < accuracy(before) + 0.05
    assert len(after.judged.samples) == len(before.judged.samples)
    assert after.n_fitted == gone.n_fitted == int((~hard).sum())


def test_what_only_judges_is_learned_from_in_no_fold() -> None:
    """Two pictures in three stand in a wrong class and only judge: learned from, they would outvote the rest."""
    features = made({"train": 60}, spread=1.0)
    samples = [
        replace(s, class_index=(s.class_index + 1) % 3, role=Role.JUDGE) if i % 3 else s
        for i, s in enumerate(features.samples)
    ]
    outcome = learn_and_judge(Features(features.values, samples), NAMES, 0, silent)
    right = outcome.probabilities.argmax(axis=1) == outcome.judged.targets
    teaches = np.array([s.role is Role.BOTH for s in outcome.judged.samples])
    assert right[teaches].mean() > 0.9
    assert right[~teaches].mean() < 0.1


def test_a_picture_that_a_machine_moved_judges_where_it_was_collected_only() -> None:
    features = made({"train": 60})
    first = features.samples[0]
    copy = replace(first, class_index=1, role=Role.LEARN)
    samples = [replace(first, role=Role.JUDGE), *features.samples[1:], copy]
    outcome = learn_and_judge(Features(np.vstack([features.values, features.values[:1]]), samples), NAMES, 0, silent)
    assert [s.class_index for s in outcome.judged.samples if s.sha256 == first.sha256] == [first.class_index]
    assert outcome.n_fitted == len(features.samples)


def accuracy(outcome: training.protocol.Outcome) -> float:
    return float((outcome.probabilities.argmax(axis=1) == outcome.judged.targets).mean())
