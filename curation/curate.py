"""Curating a data set: one decision over all its pictures, written in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curation.duplicates import THUMBNAIL, Thumbnail, components, find_pairs, thumbnail
from curation.origins import Joined, join_origins
from curation.splits import SPLITS, Member, assign_splits
from tellapart.actions import carry_out
from tellapart.crashes import CrashGuard
from tellapart.dataset import Dataset
from tellapart.errors import DataError
from tellapart.images import decode
from tellapart.manifest import Attempt
from tellapart.pictures import REASON_TEXT, Reason, Status, in_words
from tellapart.progress import Report, Stage, silent
from tellapart.wording import counted

MIN_TRAINING_PICTURES = 2
_OURS = {Reason.CONFLICT, Reason.LEAK, Reason.DUPLICATE}
_HELD_OUT_RANK = {"test": 2, "val": 1}
_GROUP_DIGITS = 16
_LARGE = "page or author has", "pages or authors have"


@dataclass(frozen=True)
class ClassCounts:
    """What curation found in one class.

    Attributes:
        kept: pictures in the data set.
        duplicate_groups: groups of two or more near-duplicates among them.
        quarantined: pictures taken out by curation.
    """

    kept: int
    duplicate_groups: int
    quarantined: int


@dataclass(frozen=True)
class CurationSummary:
    """What curation decided.

    Attributes:
        classes: counts by class slug, in class index order.
        splits: pictures in train, val and test.
        quarantined: pictures taken out, by reason.
        duplicate_groups: groups of two or more near-duplicates that stay together.
        large_origins: pages and authors with too much of a class to be kept in one split.
    """

    classes: Mapping[str, ClassCounts]
    splits: Mapping[str, int]
    quarantined: Mapping[Reason, int]
    duplicate_groups: int
    large_origins: int = 0

    @property
    def text(self) -> str:
        """One line for people."""
        kept = sum(self.splits.values())
        sizes = [f"{count} {name}" for name, count in self.splits.items() if count]
        split = f" ({', '.join(sizes)})" if len(sizes) > 1 else ""
        groups = self.duplicate_groups
        near = f"{counted(groups, 'group')} of near-copies" if groups else "no near-copies"
        parts = [f"kept: {counted(kept, 'picture')} in {len(self.classes)} classes{split}", f"{near} among them"]
        parts += [f"{count} taken out because {REASON_TEXT[reason]}" for reason, count in self.quarantined.items()]
        if self.large_origins:
            parts.append(f"{counted(self.large_origins, *_LARGE)} too much of a class to be kept in one split")
        return "; ".join(parts)


def curate(dataset: Dataset, seed: int = 0, report: Report = silent) -> CurationSummary:
    """Carry out decisions, group near-duplicates, take out conflicts, leaks and copies, and assign the splits.

    All pictures that collecting kept and nobody took out are decided anew, those that an earlier run
    quarantined included. What only a machine took out keeps its place in groups and splits: it may judge.
    The same pictures and seed give the same decision in whatever order they came.

    Raises:
        DataError: a class has fewer than 2 usable pictures; the decision is written all the same.
    """
    with dataset.deciding():
        summary, after = _decide(dataset, seed, report)
    _check_classes(dataset, after)
    return summary


def _decide(dataset: Dataset, seed: int, report: Report) -> tuple[CurationSummary, list[Attempt]]:
    """The decision, written, and the pictures it is about."""
    carry_out(dataset)
    slugs = {c.slug for c in dataset.classes}
    before = [a for a in dataset.manifest.attempts() if a.class_slug in slugs and _is_decided_here(a)]
    aside = dataset.set_aside()
    with Stage(report, "curate", total=len(before)) as stage:
        groups = _groups_and_conflicts(dataset, before, aside)
        reasons = _reasons(before, groups)
        fair = [a for a, r in zip(before, reasons, strict=True) if r == Reason.OK]
        joined = join_origins(fair + aside, groups.group_ids)
        after, aside_after = _decided(before, reasons, aside, groups.group_ids | joined.group_ids, seed)
        changed = zip(after + aside_after, before + aside, strict=True)
        dataset.manifest.add(a for a, old in changed if a != old)
        summary = _summary(dataset, after, groups, joined)
        stage.note(summary.text)
        stage.advance(len(after))
    return summary, after


@dataclass(frozen=True)
class _Groups:
    """By sha256: the group of each picture; and the pictures that stand in two classes."""

    group_ids: dict[str, str]
    conflicts: frozenset[str]


def _is_decided_here(a: Attempt) -> bool:
    return a.status == Status.KEPT or (a.status == Status.QUARANTINED and a.reason in _OURS)


def _groups_and_conflicts(dataset: Dataset, attempts: Sequence[Attempt], aside: Sequence[Attempt]) -> _Groups:
    """The groups of all pictures; only `attempts` can be in conflict."""
    one = {a.sha256: a for a in (*attempts, *aside)}
    classes: defaultdict[str, set[str]] = defaultdict(set)
    for a in attempts:
        classes[a.sha256].add(a.class_slug)
    digests = sorted(one)
    guard = CrashGuard(dataset.cache)
    near = find_pairs([one[d].phash for d in digests], lambda i: _look(dataset.image_path(one[digests[i]]), guard))
    slugs = [one[d].class_slug for d in digests]
    pairs = [p for p in near if not p.mirrored or slugs[p.first] == slugs[p.second]]  # else it may be what classes mean
    conflicts = {d for d in digests if len(classes[d]) > 1}
    for pair in pairs:
        first, second = digests[pair.first], digests[pair.second]
        if pair.same and len(classes[first] | classes[second]) > 1:
            conflicts |= {first, second}
    smallest: dict[int, str] = {}
    labels = components(len(digests), pairs).tolist()
    for digest, label in zip(digests, labels, strict=True):
        smallest.setdefault(label, digest)
    group_ids = {d: smallest[label][:_GROUP_DIGITS] for d, label in zip(digests, labels, strict=True)}
    return _Groups(group_ids, frozenset(conflicts))


def _look(path: Path, guard: CrashGuard) -> Thumbnail | None:
    try:
        data = path.read_bytes()
        with guard.watching(data):
            return thumbnail(decode(data, shorter_side=8 * THUMBNAIL))
    except (OSError, DataError):
        return None


def _decided(
    attempts: Sequence[Attempt],
    reasons: Sequence[Reason],
    aside: Sequence[Attempt],
    group_ids: Mapping[str, str],
    seed: int,
) -> tuple[list[Attempt], list[Attempt]]:
    """The attempts with status, reason, group and split, and those set aside with group and split."""
    kept = [a for a, reason in zip(attempts, reasons, strict=True) if reason == Reason.OK]
    members = [Member(a.class_slug, group_ids[a.sha256], a.given_split) for a in (*kept, *aside)]
    splits = iter(assign_splits(members, seed))
    decided = [
        replace(
            a,
            status=Status.KEPT if reason == Reason.OK else Status.QUARANTINED,
            reason=reason,
            group_id=group_ids[a.sha256],
            split=next(splits) if reason == Reason.OK else "",
        )
        for a, reason in zip(attempts, reasons, strict=True)
    ]
    return decided, [replace(a, group_id=group_ids[a.sha256], split=next(splits)) for a in aside]


def _reasons(attempts: Sequence[Attempt], groups: _Groups) -> list[Reason]:
    """Why each picture is taken out, `OK` for those that stay.

    Of a group that reaches into a held-out split, only the pictures there stay: those of test,
    else those of val. Of exact copies in one class, the one with the first URL stays.
    """
    fair = [a for a in attempts if a.sha256 not in groups.conflicts]
    rank: defaultdict[str, int] = defaultdict(int)
    for a in fair:
        group_id = groups.group_ids[a.sha256]
        rank[group_id] = max(rank[group_id], _rank(a))
    first: dict[str, str] = {}
    for a in sorted(fair, key=lambda a: (-_rank(a), a.url)):
        first.setdefault(a.sha256, a.url)

    def reason(a: Attempt) -> Reason:
        if a.sha256 in groups.conflicts:
            return Reason.CONFLICT
        if _rank(a) < rank[groups.group_ids[a.sha256]]:
            return Reason.LEAK
        return Reason.OK if first[a.sha256] == a.url else Reason.DUPLICATE

    return [reason(a) for a in attempts]


def _rank(attempt: Attempt) -> int:
    return _HELD_OUT_RANK.get(attempt.given_split, 0)


def _summary(dataset: Dataset, attempts: Sequence[Attempt], groups: _Groups, joined: Joined) -> CurationSummary:
    by_class: dict[str, list[Attempt]] = {c.slug: [] for c in dataset.classes}
    for a in attempts:
        by_class[a.class_slug].append(a)
    kept = [a for a in attempts if a.status == Status.KEPT]
    splits = Counter(a.split for a in kept)
    return CurationSummary(
        classes={slug: _class_counts(mine, groups) for slug, mine in by_class.items()},
        splits={name: splits[name] for name in SPLITS},
        quarantined=dict(sorted(Counter(a.reason for a in attempts if a.reason != Reason.OK).items())),
        duplicate_groups=_duplicate_groups(kept, groups),
        large_origins=joined.large,
    )


def _class_counts(attempts: Sequence[Attempt], groups: _Groups) -> ClassCounts:
    kept = [a for a in attempts if a.status == Status.KEPT]
    return ClassCounts(len(kept), _duplicate_groups(kept, groups), len(attempts) - len(kept))


def _duplicate_groups(kept: Iterable[Attempt], groups: _Groups) -> int:
    return sum(size > 1 for size in Counter(groups.group_ids[a.sha256] for a in kept).values())


def _check_classes(dataset: Dataset, attempts: Iterable[Attempt]) -> None:
    usable = Counter(a.class_slug for a in attempts if a.split == "train")
    short = [c for c in dataset.classes if usable[c.slug] < MIN_TRAINING_PICTURES]
    if not short:
        return
    worst = short[0]
    why = in_words(dataset.manifest.counts().get(worst.slug, Counter())) or "none was found"
    others = f"; {counted(len(short) - 1, 'more class is', 'more classes are')} short too" if len(short) > 1 else ""
    raise DataError(
        f"class {worst.name!r} has {counted(usable[worst.slug], 'usable picture')} for training, "
        f"at least {MIN_TRAINING_PICTURES} are needed (its pictures: {why}){others}",
        "Add pictures or collect more of it, or leave the class out",
    )
