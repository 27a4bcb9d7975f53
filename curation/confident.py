"""Which suspects may be acted upon without looking."""

from collections.abc import Iterable

from tellapart.dataset import Dataset, judging_split
from tellapart.decisions import Action
from tellapart.flags import Suspect

MIN_LEFT = 5  # pictures of a class that acting without looking leaves there


def judging_suspects(dataset: Dataset, suspects: Iterable[Suspect]) -> list[Suspect]:
    """Those of the split that judges."""
    kept = dataset.manifest.kept()
    judging = judging_split(a.split for a in kept)
    judges = {(a.class_slug, a.sha256) for a in kept if a.split == judging}
    return [s for s in suspects if (s.class_slug, s.sha256) in judges]


def confident_actions(dataset: Dataset, suspects: Iterable[Suspect]) -> list[Action]:
    """The actions that may be taken without looking.

    Pictures of the split that judges, test or else val, are left to a person: taking the hard ones out by
    machine would flatter the accuracy measured on them. So are the last few of a class, the least certain of its
    suspects. Under cross-validation all pictures judge; see `Dataset.training_samples` for what becomes of them.
    """
    standing = {(a.class_slug, a.sha256): a for a in dataset.manifest.kept()}
    judging = judging_split(a.split for a in standing.values())
    left = {c.slug: sum(a.class_slug == c.slug for a in standing.values()) for c in dataset.classes}
    actions = []
    for s in sorted(suspects, key=lambda s: (-s.score, s.sha256)):
        row = standing.get((s.class_slug, s.sha256))
        if row is None or row.split == judging or not s.confident or left[s.class_slug] <= MIN_LEFT:
            continue
        left[s.class_slug] -= 1
        to_slug = s.suggested_slug if s.action == "move" else ""
        actions.append(Action(s.action, s.class_slug, s.sha256, to_slug, f"{s.kind}: {s.reason}", by="curate"))
    return actions
