"""The manifest: one SQLite row for every attempt to get a picture, kept or not, with its reason."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from tellapart.errors import DataError, TellapartError
from tellapart.pictures import Picture, Reason, Status
from tellapart.sqlite import use_wal


@dataclass(frozen=True)
class Attempt:
    """One attempt to get one picture for one class; (class_slug, url) is its identity.

    `group_id`, `split` and `flags` are curation's: pictures of one group (near-duplicates, and those of
    one page or author) never stand in two splits; `split` is "train", "val" or "test" ("" before
    curation); `flags` is JSON that says why the picture is suspect, "" where it is not; `given_split`
    is what the folder it came from said.
    `redirects` are the addresses the URL was sent on to, in order, with a space between.
    """

    url: str
    class_slug: str
    status: Status
    reason: Reason
    source: str = ""
    query: str = ""
    rank: int = 0
    page_url: str = ""
    sha256: str = ""
    phash: str = ""
    width: int = 0
    height: int = 0
    bytes: int = 0
    mime: str = ""
    extension: str = ""
    license: str = ""
    license_url: str = ""
    author: str = ""
    attribution: str = ""
    fetched_at: str = ""
    detail: str = ""
    group_id: str = ""
    split: str = ""
    given_split: str = ""
    flags: str = ""
    redirects: str = ""

    def with_picture(self, picture: Picture) -> "Attempt":
        """The same attempt with what was found out about its picture."""
        return replace(
            self,
            sha256=picture.sha256,
            phash=picture.phash,
            width=picture.width,
            height=picture.height,
            bytes=picture.bytes,
            mime=picture.mime,
            extension=picture.extension,
        )


_COLUMNS = [f.name for f in fields(Attempt)]
_INTEGERS = {"rank", "width", "height", "bytes"}
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS attempts (
    {", ".join(f"{c} {'INTEGER' if c in _INTEGERS else 'TEXT'} NOT NULL" for c in _COLUMNS)},
    PRIMARY KEY (class_slug, url)
);
CREATE INDEX IF NOT EXISTS attempts_sha256 ON attempts (sha256);
CREATE TABLE IF NOT EXISTS searches (
    class_slug TEXT NOT NULL, source TEXT NOT NULL, query TEXT NOT NULL,
    found INTEGER NOT NULL, finished_at TEXT NOT NULL,
    PRIMARY KEY (class_slug, source, query)
);
CREATE TABLE IF NOT EXISTS actions (
    id INTEGER PRIMARY KEY, action TEXT NOT NULL, class_slug TEXT NOT NULL, sha256 TEXT NOT NULL,
    to_slug TEXT NOT NULL, why TEXT NOT NULL, by TEXT NOT NULL, batch INTEGER NOT NULL, at TEXT NOT NULL,
    undone INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS audit (
    class_slug TEXT NOT NULL, sha256 TEXT NOT NULL, stratum TEXT NOT NULL, stratum_size INTEGER NOT NULL,
    right INTEGER, answered_at TEXT NOT NULL,
    PRIMARY KEY (class_slug, sha256)
);
PRAGMA user_version = 3;
"""
# another run may ask for other licences, so what one turned away is looked at again
_SETTLED = "(status != 'failed' AND reason != 'license')"
_FIXES = {
    **dict.fromkeys(("full", "disk I/O"), "Make room on the disk"),
    **dict.fromkeys(("readonly", "unable to open"), "Check the folder and its permissions"),
}
PATIENCE = 30.0  # seconds to wait for another program's write
_FORMAT = 3  # 1 had no actions and no audit, 1 and 2 no redirects; opening such a file adds them


def now() -> str:
    """The time in UTC, ISO 8601 to the second: the form of `fetched_at`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Manifest:
    """The attempts of one data set. Every method is one transaction; safe for threads and processes.

    Raises:
        DataError: the file is no manifest, or of a newer format.
        TellapartError: the disk is full or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: sqlite3.Connection | None = None
        with self.connect() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > _FORMAT:
                raise DataError(
                    f"{path} has manifest format {version}, this program reads {_FORMAT}", "Update this program"
                )
            if version < _FORMAT:
                use_wal(db, PATIENCE)
                _add_missing_columns(db)
                db.executescript(_SCHEMA)

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Write attempts; one with the same class and URL replaces the earlier one."""
        with self.connect() as db:
            insert(db, "attempts", _COLUMNS, attempts)

    def change(self, changes: Iterable[tuple[Attempt | None, Attempt]]) -> None:
        """Write attempts in the place of those that were read, None for none; what is another by now stays so."""
        pairs = list(changes)
        sql = f"SELECT {', '.join(_COLUMNS)} FROM attempts WHERE class_slug = ? AND url = ?"
        with self.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            there = [db.execute(sql, (new.class_slug, new.url)).fetchone() for _, new in pairs]
            as_read = [(row and _attempt(row)) == old for row, (old, _) in zip(there, pairs, strict=True)]
            insert(db, "attempts", _COLUMNS, [new for (_, new), same in zip(pairs, as_read, strict=True) if same])

    def remove(self, attempts: Iterable[Attempt]) -> None:
        """Forget attempts, such as files that are no longer there."""
        self.exchange(attempts, ())

    def exchange(self, old: Iterable[Attempt], new: Iterable[Attempt]) -> None:
        """Forget attempts and write others, in one transaction."""
        with self.connect() as db:
            sql = "DELETE FROM attempts WHERE class_slug = ? AND url = ?"
            db.executemany(sql, [(a.class_slug, a.url) for a in old])
            insert(db, "attempts", _COLUMNS, new)

    def attempts(self, class_slug: str | None = None, status: Status | None = None) -> list[Attempt]:
        """Attempts, filtered, in a fixed order (class, rank, URL)."""
        wanted = {k: v for k, v in {"class_slug": class_slug, "status": status}.items() if v is not None}
        where = " AND ".join(f"{column} = ?" for column in wanted) or "1"
        sql = f"SELECT {', '.join(_COLUMNS)} FROM attempts WHERE {where} ORDER BY class_slug, rank, url"
        with self.connect() as db:
            return [_attempt(row) for row in db.execute(sql, tuple(wanted.values()))]

    def with_digest(self, digest: str) -> list[Attempt]:
        """The attempts, of any class and status, that gave these bytes; `digest` is their SHA-256."""
        sql = f"SELECT {', '.join(_COLUMNS)} FROM attempts WHERE sha256 = ? ORDER BY class_slug, rank, url"
        with self.connect() as db:
            return [_attempt(row) for row in db.execute(sql, (digest,))]

    def kept(self, class_slug: str | None = None) -> list[Attempt]:
        """The attempts whose pictures are in the data set."""
        return self.attempts(class_slug, Status.KEPT)

    def kept_urls(self, class_slug: str) -> list[str]:
        """The addresses of the pictures in the data set."""
        with self.connect() as db:
            found = db.execute("SELECT url FROM attempts WHERE class_slug = ? AND status = 'kept'", (class_slug,))
            return [url for (url,) in found]

    def open_searches(self, class_slug: str) -> set[tuple[str, str]]:
        """(source, query) of the searches with attempts that may end differently in another run."""
        with self.connect() as db:
            sql = f"SELECT DISTINCT source, query FROM attempts WHERE class_slug = ? AND NOT {_SETTLED}"
            return set(db.execute(sql, (class_slug,)))

    def last_row(self) -> int:
        """A number that attempts written from now on lie above."""
        with self.connect() as db:
            return int(db.execute("SELECT COALESCE(MAX(rowid), 0) FROM attempts").fetchone()[0])

    def is_settled(self, class_slug: str, url: str, before: int) -> bool:
        """Whether an address needs no further try, or had one after the row `before` was the last."""
        sql = f"SELECT 1 FROM attempts WHERE class_slug = ? AND url = ? AND ({_SETTLED} OR rowid > ?)"
        with self.connect() as db:
            return db.execute(sql, (class_slug, url, before)).fetchone() is not None

    def has_bytes(self, class_slug: str, digest: str) -> bool:
        """Whether the class has or had a picture of these bytes.

        A copy's row says nothing: a killed run may not have come to the row of the picture it is a copy of.
        """
        sql = "SELECT 1 FROM attempts WHERE sha256 = ? AND class_slug = ? AND reason != 'duplicate' LIMIT 1"
        with self.connect() as db:
            return db.execute(sql, (digest, class_slug)).fetchone() is not None

    def counts(self) -> dict[str, Counter[Reason]]:
        """How many attempts ended with each reason, per class slug."""
        found: dict[str, Counter[Reason]] = {}
        with self.connect() as db:
            rows = db.execute("SELECT class_slug, reason, COUNT(*) FROM attempts GROUP BY class_slug, reason")
            for class_slug, reason, count in rows:
                found.setdefault(class_slug, Counter())[Reason(reason)] = count
        return found

    def assign(self, column: str, values: Mapping[str, str]) -> None:
        """Set `split`, `group_id` or `flags` of the kept pictures, by sha256."""
        if column not in ("split", "group_id", "flags"):
            raise ValueError(f"column {column!r} is not assigned by curation")
        sql = f"UPDATE attempts SET {column} = ? WHERE sha256 = ? AND status = 'kept'"
        with self.connect() as db:
            db.executemany(sql, [(value, digest) for digest, value in values.items()])

    def set_status(self, attempts: Iterable[Attempt], status: Status, reason: Reason) -> None:
        """Take pictures out of the data set, or back in."""
        sql = "UPDATE attempts SET status = ?, reason = ?, split = '' WHERE class_slug = ? AND url = ?"
        with self.connect() as db:
            db.executemany(sql, [(status, reason, a.class_slug, a.url) for a in attempts])

    def finish_search(self, class_slug: str, source: str, query: str, found: int) -> None:
        """Remember that a source was asked to the end for a query, and what it yielded."""
        with self.connect() as db:
            db.execute(
                "INSERT OR REPLACE INTO searches VALUES (?, ?, ?, ?, ?)", (class_slug, source, query, found, now())
            )

    def finished_searches(self) -> set[tuple[str, str, str]]:
        """(class slug, source, query) of every search that was asked to the end."""
        with self.connect() as db:
            return set(db.execute("SELECT class_slug, source, query FROM searches"))

    @contextmanager
    def held_open(self) -> Iterator["Manifest"]:
        """The same manifest on one connection that stays open: quick, for one thread at a time."""
        with self._readable_errors():
            db = self._open()
        with closing(db):
            held = copy(self)
            held._held = db
            yield held

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """One transaction on the file, with errors for people."""
        with self._readable_errors():
            if self._held:
                with self._held as db:
                    yield db
            else:
                with closing(self._open()) as db, db:
                    yield db

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False)
        db.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last rows, never consistency
        return db

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise TellapartError(f"{self.path}: another program is writing it", "Try again") from error
            if fix := next((fix for word, fix in _FIXES.items() if word in str(error)), ""):
                raise TellapartError(f"cannot write {self.path}: {error}", fix) from error
            raise DataError(f"{self.path} cannot be used as a manifest: {error}", "Restore or delete it") from error


def insert(db: sqlite3.Connection, table: str, columns: list[str], rows: Iterable[object]) -> None:
    """Write rows by the attributes named as the columns; a row with the same key replaces the earlier one."""
    marks = ", ".join("?" * len(columns))
    values = [tuple(getattr(row, c) for c in columns) for row in rows]
    db.executemany(f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)


def _add_missing_columns(db: sqlite3.Connection) -> None:
    """Bring an older file's attempts up to date, in one transaction, as two processes may open it at once."""
    db.execute("BEGIN IMMEDIATE")
    there = {row[1] for row in db.execute("PRAGMA table_info(attempts)")}
    for column in (c for c in _COLUMNS if there and c not in there):
        db.execute(f"ALTER TABLE attempts ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
    db.commit()


def _attempt(row: tuple) -> Attempt:  # type: ignore[type-arg]
    values = dict(zip(_COLUMNS, row, strict=True))
    return Attempt(**values | {"status": Status(values["status"]), "reason": Reason(values["reason"])})
