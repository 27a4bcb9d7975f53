"""Splitting pictures into train, val and test, never a group into two."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SPLITS = ("train", "val", "test")
MIN_PICTURES = 400  # below, a held-out split of 15 % says too little; training cross-validates instead
MIN_GROUPS = 10  # of each class, for the same reason
HELD_OUT = {"test": 0.15, "val": 0.15}


@dataclass(frozen=True)
class Member:
    """A picture as splitting sees it."""

    class_slug: str
    group_id: str
    given_split: str


def assign_splits(members: Sequence[Member], seed: int) -> list[str]:
    """The split of each picture.

    Given splits are honoured; a picture without one among those that have is for training. With
    none given, enough pictures are split by group, 70/15/15 in each class; fewer are all "train".
    The order of `members` does not matter.
    """
    if any(m.given_split for m in members):
        return [m.given_split or "train" for m in members]
    if not _enough(members):
        return ["train"] * len(members)
    split = _split_groups(members, seed)
    return [split[m.group_id] for m in members]


def _enough(members: Sequence[Member]) -> bool:
    groups = Counter(slug for slug, _ in {(m.class_slug, m.group_id) for m in members})
    return len(members) >= MIN_PICTURES and min(groups.values()) >= MIN_GROUPS


def _split_groups(members: Sequence[Member], seed: int) -> dict[str, str]:
    """The split of each group; one that spans classes goes with the first of them."""
    sizes = Counter(m.group_id for m in members)
    home: dict[str, str] = {}
    for m in sorted(members, key=lambda m: m.class_slug):
        home.setdefault(m.group_id, m.class_slug)
    by_class: defaultdict[str, list[str]] = defaultdict(list)
    for group_id, slug in home.items():
        by_class[slug].append(group_id)
    split: dict[str, str] = {}
    for groups in by_class.values():
        split |= _split_class(_shuffled(groups, seed), sizes)
    return split


def _shuffled(groups: Iterable[str], seed: int) -> list[str]:
    """A seeded order that a group keeps when others come or go."""
    return sorted(groups, key=lambda g: hashlib.sha256(f"{seed} {g}".encode()).digest())


def _split_class(groups: Sequence[str], sizes: Counter[str]) -> dict[str, str]:
    """Fill test, then val, with groups that fit; each gets at least the smallest group."""
    split = dict.fromkeys(groups, "train")
    total = sum(sizes[g] for g in groups)
    for name, share in HELD_OUT.items():
        room = max(1, round(share * total))
        for g in groups:
            if split[g] == "train" and sizes[g] <= room:
                split[g] = name
                room -= sizes[g]
        if name not in split.values():
            split[min((g for g in groups if split[g] == "train"), key=lambda g: sizes[g])] = name
    return split
