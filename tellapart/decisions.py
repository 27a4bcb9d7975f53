"""What people and `curate --apply` decided about pictures, kept in the manifest's file beside the attempts.

The log says what was decided; curation carries it out each time it runs, so a decision holds for
pictures that are read or collected again.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from tellapart.manifest import Manifest, insert, now


@dataclass(frozen=True)
class Action:
    """A decision about one picture of one class, by a person, in an audit or by `curate --apply`; it can be undone.

    Attributes:
        action: "remove", "move" (to `to_slug`) or "keep" (it is right, whatever is suspected of it).
        class_slug, sha256: the class it stood in when the decision was taken, and which picture.
        why: one line for people.
        by: "person", "audit" (a person's answer in one) or "curate".
        batch: number of the decisions taken together; the manifest gives it, and `at`.
        undone: taken back; it stays in the log.
    """

    action: str
    class_slug: str
    sha256: str
    to_slug: str = ""
    why: str = ""
    by: str = "person"
    batch: int = 0
    at: str = ""
    undone: bool = False


@dataclass(frozen=True)
class AuditItem:
    """A picture drawn for a person to answer: does it show its class?

    Attributes:
        stratum: the part of the class it was drawn from.
        stratum_size: pictures of that part when it was drawn.
        right: the answer, None before there is one.
    """

    class_slug: str
    sha256: str
    stratum: str
    stratum_size: int
    right: bool | None = None
    answered_at: str = ""


def in_force(history: Iterable[Action]) -> list[Action]:
    """The last action on each picture of each class that is not undone, in the order taken."""
    last: dict[tuple[str, str], Action] = {}
    for a in history:
        if not a.undone:
            last.pop((a.class_slug, a.sha256), None)
            last[a.class_slug, a.sha256] = a
    return list(last.values())


_ACTION_COLUMNS = [f.name for f in fields(Action)]
_AUDIT_COLUMNS = [f.name for f in fields(AuditItem)]


class Decisions:
    """The log of actions and the audit of one data set; every method is one transaction."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def record(self, actions: Iterable[Action]) -> int:
        """Add actions to the log as one batch, and return its number."""
        with self._manifest.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            return _record(db, actions)

    def history(self) -> list[Action]:
        """The whole log, oldest first, with what was undone."""
        sql = f"SELECT {', '.join(_ACTION_COLUMNS)} FROM actions ORDER BY id"
        with self._manifest.connect() as db:
            rows = [dict(zip(_ACTION_COLUMNS, row, strict=True)) for row in db.execute(sql)]
        return [Action(**row | {"undone": bool(row["undone"])}) for row in rows]

    def take_back(self, batches: Iterable[int]) -> None:
        """Mark all actions of batches as undone."""
        with self._manifest.connect() as db:
            db.executemany("UPDATE actions SET undone = 1 WHERE batch = ?", [(b,) for b in batches])

    def draw(self, class_slug: str, items: Iterable[AuditItem]) -> None:
        """Put a new sample in the place of the class's last one."""
        with self._manifest.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM audit WHERE class_slug = ?", (class_slug,))
            insert(db, "audit", _AUDIT_COLUMNS, items)

    def answer(self, class_slug: str, sha256: str, right: bool | None) -> bool:
        """Store the answer to an audited picture, None takes it back; False where it is not in the sample.

        A kept picture that is right is a suspect no more: that is an action "keep", as a sample does not last.
        """
        picture = (class_slug, sha256)
        with self._manifest.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            sql = "UPDATE audit SET right = ?, answered_at = ? WHERE class_slug = ? AND sha256 = ?"
            if not db.execute(sql, (right, now(), *picture)).rowcount:
                return False
            db.execute("UPDATE actions SET undone = 1 WHERE by = 'audit' AND class_slug = ? AND sha256 = ?", picture)
            sql = "UPDATE attempts SET flags = '' WHERE class_slug = ? AND sha256 = ? AND status = 'kept'"
            if right and db.execute(sql, picture).rowcount:
                _record(db, [Action("keep", *picture, why="right, an audit says", by="audit")])
        return True

    def audit(self, class_slug: str = "") -> list[AuditItem]:
        """The sample drawn for a class, or those of all classes, in the order drawn."""
        sql = f"SELECT {', '.join(_AUDIT_COLUMNS)} FROM audit WHERE ? IN ('', class_slug) ORDER BY rowid"
        with self._manifest.connect() as db:
            rows = [dict(zip(_AUDIT_COLUMNS, row, strict=True)) for row in db.execute(sql, (class_slug,))]
        return [AuditItem(**row | {"right": None if row["right"] is None else bool(row["right"])}) for row in rows]


def _record(db: sqlite3.Connection, actions: Iterable[Action]) -> int:
    """Add actions within a transaction that no other writes beside."""
    batch = int(db.execute("SELECT COALESCE(MAX(batch), 0) + 1 FROM actions").fetchone()[0])
    insert(db, "actions", _ACTION_COLUMNS, [replace(a, batch=batch, at=now(), undone=False) for a in actions])
    return batch
