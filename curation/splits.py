"""Splitting pictures into train, val and test, never a group into two."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    groups = _groups_of_classes(members)
    if not _enough(members, groups):
        return ["train"] * len(members)
    sizes = Counter(m.group_id for m in members)
    split: dict[str, str] = {}
    for mine in groups.values():
        split |= _split_class(_shuffled(mine, seed), sizes)
    return [split[m.group_id] for m in members]


def _enough(members: Sequence[Member], groups: Mapping[str, Sequence[str]]) -> bool:
    smallest = min((len(groups[slug]) for slug in {m.class_slug for m in members}), default=0)
    return len(members) >= MIN_PICTURES and smallest >= MIN_GROUPS


def _groups_of_classes(members: Sequence[Member]) -> defaultdict[str, list[str]]:
    """The groups of each class; one that spans classes goes with the first of them."""
    home: dict[str, str] = {}
    for m in sorted(members, key=lambda m: m.class_slug):
        home.setdefault(m.group_id, m.class_slug)
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for group_id, slug in home.items():
        groups[slug].append(group_id)
    return groups


def _shuffled(groups: Iterable[str], seed: int) -> list[str]:
    """A seeded order that a group keeps when others come or go."""
    return sorted(groups, key=lambda g: hashlib.sha256(f"{seed} {g}".encode()).digest())


def _split_class(groups: Sequence[str], sizes: Mapping[str, int]) -> dict[str, str]:
    """Fill test, then val, with groups that fit: a share of the pictures in at most that share of the groups.

    With `MIN_GROUPS` groups none stays empty: most of them are left, so the smallest of those fits.
    """
    split = dict.fromkeys(groups, "train")
    total = sum(sizes[g] for g in groups)
    for name, share in HELD_OUT.items():
        room, places = round(share * total), round(share * len(groups))
        for g in groups:
            if split[g] == "train" and sizes[g] <= room and places:
                split[g] = name
                room, places = room - sizes[g], places - 1
    return split
