import random
from collections import Counter, defaultdict

import pytest

from curation.splits import MIN_PICTURES, Member, assign_splits


def members(sizes, group_size=1):
    """`sizes` pictures of each class, in groups of `group_size`."""
    return [Member(slug, f"{slug}-{i // group_size}", "") for slug, size in sizes.items() for i in range(size)]


def test_enough_pictures_are_split_70_15_15_in_each_class():
    everything = members({"cat": 200, "dog": 400})
    splits = assign_splits(everything, seed=0)
    counts = Counter((m.class_slug, split) for m, split in zip(everything, splits, strict=True))
    assert counts == {
        ("cat", "train"): 140,
        ("cat", "val"): 30,
        ("cat", "test"): 30,
        ("dog", "train"): 280,
        ("dog", "val"): 60,
        ("dog", "test"): 60,
    }


@pytest.mark.parametrize("seed", range(20))
def test_no_group_is_in_two_splits_and_every_class_in_each(seed):
    draw = random.Random(seed)
    everything = []
    for slug in ("a", "b", "c", "d"):
        for i in range(draw.randint(10, 60)):
            everything += [Member(slug, f"{slug}-{i}", "")] * draw.choice([1, 1, 1, 2, 7, 30])
    everything += members({"e": MIN_PICTURES})
    everything += [Member("a", "b-3", ""), Member("e", "c-1", "")]
    splits = assign_splits(everything, seed)
    of_group, of_class = defaultdict(set), defaultdict(set)
    for m, split in zip(everything, splits, strict=True):
        of_group[m.group_id].add(split)
        of_class[m.class_slug].add(split)
    assert all(len(found) == 1 for found in of_group.values())
    assert all(found == {"train", "val", "test"} for found in of_class.values())


@pytest.mark.parametrize("sizes", [[391] + [1] * 9, [20] * 10, [1] * 10, [1, 1, 1] + [100] * 7, [50] * 9 + [1]])
def test_groups_of_any_size_fill_every_split(sizes):
    everything = members({"cat": 400})
    everything += [Member("dog", f"dog-{i}", "") for i, size in enumerate(sizes) for _ in range(size)]
    for seed in range(10):
        splits = assign_splits(everything, seed)
        of_dogs = {m.group_id: split for m, split in zip(everything, splits, strict=True) if m.class_slug == "dog"}
        counts = Counter(of_dogs.values())
        assert counts["train"] >= 6
        assert min(counts["val"], counts["test"]) >= 1
        held_out = Counter(split for m, split in zip(everything, splits, strict=True) if m.class_slug == "dog")
        assert max(held_out["val"], held_out["test"]) <= round(0.15 * sum(sizes))


def test_a_class_whose_groups_belong_to_others_does_not_split():
    shared = [Member("dog", f"cat-{i}", "") for i in range(9)]
    everything = members({"cat": 400}) + shared + [Member("dog", "dog-0", "")]
    assert set(assign_splits(everything, 0)) == {"train"}


@pytest.mark.parametrize("group_size", [1, 2, 9])
def test_the_shares_hold_with_groups(group_size):
    counts = Counter(assign_splits(members({"cat": 900, "dog": 900}, group_size), seed=1))
    assert counts["test"] == pytest.approx(270, abs=2 * group_size)
    assert counts["val"] == pytest.approx(270, abs=2 * group_size)


def test_order_does_not_matter_and_the_seed_does():
    everything = members({"cat": 300, "dog": 300}, group_size=2)
    mixed = random.Random(3).sample(everything, len(everything))
    in_order = dict(zip(everything, assign_splits(everything, 0), strict=True))
    assert dict(zip(mixed, assign_splits(mixed, 0), strict=True)) == in_order
    assert assign_splits(everything, 1) != assign_splits(everything, 0)


def test_most_pictures_stay_where_they_were_when_others_come():
    before = members({"cat": 300, "dog": 300})
    after = members({"cat": 330, "dog": 300})
    old = dict(zip(before, assign_splits(before, 0), strict=True))
    new = dict(zip(after, assign_splits(after, 0), strict=True))
    assert sum(old[m] == new[m] for m in before) > 560


@pytest.mark.parametrize(
    "sizes", [{"cat": 200, "dog": 199}, {"cat": 2000, "dog": 9}, {"cat": 5}], ids=["few", "few of one", "one class"]
)
def test_too_few_pictures_are_all_for_training(sizes):
    assert set(assign_splits(members(sizes), 0)) == {"train"}


def test_nothing_is_split_into_nothing():
    assert assign_splits([], 0) == []


def test_given_splits_are_honoured():
    given = [Member("cat", "1", "test"), Member("cat", "2", ""), Member("dog", "3", "train"), Member("dog", "4", "val")]
    assert assign_splits(given * 200, 0) == ["test", "train", "train", "val"] * 200
