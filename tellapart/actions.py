"""Carrying decisions out, and taking them back. Nothing is deleted from the disk.

What a data set holds is what was collected plus the actions in the log that are not undone: `carry_out`
brings the manifest there from whatever state it is in.

    remove    the picture's rows in that class are quarantined
    move      the same, and a copy of the row, provenance and all, stands in the other class
    keep      the rows stay, and the picture is no suspect any more
"""

from collections.abc import Sequence
from dataclasses import replace

from tellapart.dataset import Dataset
from tellapart.decisions import Action, Decisions, in_force
from tellapart.errors import DataError, UsageError
from tellapart.manifest import Attempt
from tellapart.pictures import Picture, Reason, Status

ACTIONS = ("remove", "move", "keep")
_REASONS = {"remove": Reason.REMOVED, "move": Reason.MOVED}
_MOVED_FROM = "moved from "

Rows = dict[tuple[str, str], Attempt]


def apply(dataset: Dataset, actions: Sequence[Action]) -> int:
    """Record actions as one batch and carry them out; `curate` afterwards brings groups and splits up to date.

    Returns:
        the number of the batch.

    Raises:
        UsageError: an unknown action or class, or a move to where the picture stands.
        DataError: the data set has no such picture in that class.
    """
    _check(dataset, actions)
    with dataset.deciding():
        batch = Decisions(dataset.manifest).record(actions)
        carry_out(dataset)
        dataset.manifest.assign("flags", {a.sha256: "" for a in actions if a.action == "keep"})
    return batch


def undo(dataset: Dataset, n: int = 1, by: str | None = None) -> list[Action]:
    """Take back the last `n` batches that are not undone, and return their actions.

    Args:
        by: only those of "person" or of "curate".
    """
    decisions = Decisions(dataset.manifest)
    with dataset.deciding():
        active = [a for a in decisions.history() if not a.undone and by in (None, a.by)]
        last = sorted({a.batch for a in active})[-n:] if n > 0 else []
        decisions.take_back(last)
        carry_out(dataset)
    return [a for a in active if a.batch in last]


def history(dataset: Dataset) -> list[Action]:
    """All actions ever taken, oldest first, with what was undone."""
    return Decisions(dataset.manifest).history()


def kept_by_hand(dataset: Dataset) -> set[tuple[str, str]]:
    """(class slug, sha256) of the pictures whose last word is "keep"."""
    return {(a.class_slug, a.sha256) for a in in_force(history(dataset)) if a.action == "keep"}


def moved_from(a: Attempt) -> str:
    """The class that a row's picture was collected for, where it was moved to another; else ""."""
    return a.detail.removeprefix(_MOVED_FROM) if a.detail.startswith(_MOVED_FROM) else ""


def carry_out(dataset: Dataset) -> None:
    """Bring the manifest to what the log says; doing it again changes nothing. For who is `dataset.deciding`."""
    before: Rows = {(a.class_slug, a.url): a for a in dataset.manifest.attempts()}
    as_collected = {key: _restored(a) for key, a in before.items()}
    after = {key: a for key, a in as_collected.items() if not moved_from(a)}
    for action in in_force(history(dataset)):
        _act(after, action, as_collected)
    changed = [a for key, a in after.items() if before.get(key) != a]
    for a in changed:
        if moved_from(a):
            _store_in_new_class(dataset, a)
    gone = [a for key, a in before.items() if key not in after]
    if changed or gone:
        dataset.manifest.exchange(gone, changed)


def _restored(a: Attempt) -> Attempt:
    """The row as if nobody had decided anything about it."""
    return replace(a, status=Status.KEPT, reason=Reason.OK) if a.reason in _REASONS.values() else a


def _act(rows: Rows, action: Action, known: Rows) -> None:
    """Take one action on all rows of its picture; those that collecting turned away stay so.

    A row that was moved before is taken from `known`, with what curation has found out about it since.
    """
    if action.action == "keep":
        return
    there = [a for a in rows.values() if a.class_slug == action.class_slug and a.sha256 == action.sha256]
    for a in there:
        if a.status == Status.REJECTED or a.reason == Reason.PLACEHOLDER:
            continue
        rows[a.class_slug, a.url] = replace(a, status=Status.QUARANTINED, reason=_REASONS[action.action])
        if action.action == "move":
            key, detail = (action.to_slug, a.url), f"{_MOVED_FROM}{a.class_slug}"
            earlier = known.get(key)
            fresh = replace(a, class_slug=action.to_slug, detail=detail, flags="")
            rows.setdefault(key, earlier if earlier and earlier.detail == detail else fresh)


def _store_in_new_class(dataset: Dataset, moved: Attempt) -> None:
    """Copy the bytes to where the new class has its pictures; a plain folder's stay where they are."""
    if dataset.folder is not None:
        return
    old = replace(moved, class_slug=moved_from(moved))
    picture = Picture(moved.sha256, moved.phash, moved.mime, moved.extension, moved.width, moved.height, moved.bytes)
    try:
        dataset.store(moved.class_slug, picture, dataset.image_path(old).read_bytes())
    except OSError as error:
        raise DataError(f"{dataset.image_path(old)} cannot be read: {error.strerror}", "Restore it or undo") from error


def _check(dataset: Dataset, actions: Sequence[Action]) -> None:
    slugs = {c.slug for c in dataset.classes}
    pictures = {(a.class_slug, a.sha256) for a in dataset.manifest.attempts() if a.status != Status.REJECTED}
    for a in actions:
        if a.action not in ACTIONS:
            raise UsageError(f"unknown action {a.action!r}", f"Use one of: {', '.join(ACTIONS)}")
        if a.action == "move" and (a.to_slug not in slugs or a.to_slug == a.class_slug):
            raise UsageError(f"a picture of {a.class_slug!r} cannot be moved to {a.to_slug!r}", "Name another class")
        if (a.class_slug, a.sha256) not in pictures:
            raise DataError(f"the class {a.class_slug!r} has no picture {a.sha256[:12]}", "See the data set's pictures")
