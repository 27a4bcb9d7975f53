"""A data set's pictures as people look through them: filtered, in an order, a page at a time.

The manifest's file is asked for just the rows wanted, so that the first page of a large data set costs no
more than that of a small one.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tellapart.manifest import Manifest
from tellapart.pictures import Reason, Status

ORDERS = ("suspicion", "newest", "class")
SHOWN = ("kept", "suspects", "out")
MAX_PAGE = 500
_COLUMNS = "class_slug, sha256, flags, status, reason, split, width, height, fetched_at"
_FILTERS = {
    "kept": f"status = '{Status.KEPT}'",
    "suspects": f"status = '{Status.KEPT}' AND flags != ''",
    "out": f"status = '{Status.QUARANTINED}'",
}
_SUSPICION = (
    "flags = '', CASE WHEN flags = '' THEN 0 ELSE json_extract(flags, '$.confident') END DESC, "
    "CASE WHEN flags = '' THEN 0 ELSE json_extract(flags, '$.score') END DESC"
)
_ORDER = {"suspicion": _SUSPICION, "newest": "fetched_at DESC", "class": "class_slug"}


@dataclass(frozen=True)
class Listed:
    """One picture of a class as a list shows it.

    Attributes:
        class_slug, sha256: which picture, where it stands.
        flag: why it is suspect (`flags.Suspect` as JSON, without picture and class), {} where it is not.
        status, reason: what became of it.
        split: "train", "val" or "test", "" before curation.
        width, height: in pixels.
        fetched_at: when it came, ISO 8601 in UTC.
    """

    class_slug: str
    sha256: str
    flag: dict[str, object]
    status: Status
    reason: Reason
    split: str
    width: int
    height: int
    fetched_at: str


@dataclass(frozen=True)
class Wanted:
    """Which pictures, in which order.

    Attributes:
        shown: "kept", "suspects" (kept ones that are flagged) or "out" (set aside, still on the disk).
        class_slug: of one class only, "" for all.
        order: "suspicion" (the most suspect first), "newest" or "class".
        digests: only these pictures; None for all.
    """

    shown: str = "kept"
    class_slug: str = ""
    order: str = "suspicion"
    digests: Sequence[str] | None = None


def count(manifest: Manifest, wanted: Wanted) -> int:
    """How many pictures there are of what is wanted; one that came from several addresses counts once."""
    where, values = _where(wanted)
    with manifest.connect() as db:
        sql = f"SELECT COUNT(*) FROM (SELECT DISTINCT class_slug, sha256 FROM attempts WHERE {where})"
        return int(db.execute(sql, values).fetchone()[0])


def class_counts(manifest: Manifest) -> dict[str, int]:
    """How many pictures each class has, by slug; classes without any are not in it."""
    sql = (
        f"SELECT class_slug, COUNT(DISTINCT sha256) FROM attempts WHERE {_FILTERS['kept']} AND sha256 != '' "
        "GROUP BY class_slug"
    )
    with manifest.connect() as db:
        return {slug: int(number) for slug, number in db.execute(sql)}


def standing(manifest: Manifest, pictures: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the pictures, as (class slug, sha256), that stand in their class or were set aside from it."""
    asked = set(pictures)
    sql = (
        f"SELECT class_slug, sha256 FROM attempts WHERE status != '{Status.REJECTED}' "
        "AND sha256 IN (SELECT value FROM json_each(?))"
    )
    with manifest.connect() as db:
        return asked & set(db.execute(sql, (json.dumps(sorted({sha256 for _, sha256 in asked})),)))


def page(manifest: Manifest, wanted: Wanted, offset: int = 0, limit: int = 100) -> list[Listed]:
    """Pictures `offset` to `offset + limit` of what is wanted, at most `MAX_PAGE` of them."""
    where, values = _where(wanted)
    sql = (
        f"SELECT {_COLUMNS} FROM attempts WHERE {where} GROUP BY class_slug, sha256 "
        f"ORDER BY {_ORDER[wanted.order]}, class_slug, rank, sha256 LIMIT ? OFFSET ?"
    )
    with manifest.connect() as db:
        return [_listed(row) for row in db.execute(sql, (*values, min(limit, MAX_PAGE), offset))]


def _where(wanted: Wanted) -> tuple[str, tuple[str, ...]]:
    parts, values = [_FILTERS[wanted.shown], "sha256 != ''"], []
    if wanted.class_slug:
        parts.append("class_slug = ?")
        values.append(wanted.class_slug)
    if wanted.digests is not None:
        parts.append("sha256 IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(wanted.digests)))
    return " AND ".join(parts), tuple(values)


def _listed(row: tuple) -> Listed:  # type: ignore[type-arg]
    slug, sha256, flags, status, reason, *rest = row
    return Listed(slug, sha256, json.loads(flags) if flags else {}, Status(status), Reason(reason), *rest)
