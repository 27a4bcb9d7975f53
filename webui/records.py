"""What was answered to whom: one record per upload, behind an id nobody can guess.

A record is gone after a week, or when the last link to it has expired, which is taken back on its page.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from tellapart.manifest import now
from tellapart.wire import Problem, Result
from webui.cache import KEEP_SECONDS
from webui.shelf import Shelf

MAX_RECORDS = 20_000  # of one person
_OWN = "of"
_ID = re.compile(r"[A-Za-z0-9_-]{16}")


def new_id() -> str:
    """A fresh id, 96 random bits."""
    return secrets.token_urlsafe(12)


class Entry(BaseModel):
    """What became of one picture: a result, or the problem with it; `id` is its own record's.

    `says_none` is whether what answered can say "none of these".
    """

    name: str
    sha256: str
    id: str = ""
    result: Result | None = None
    error: Problem | None = None
    from_cache: bool = False
    says_none: bool = True


class Record(BaseModel):
    """The pictures of one upload, in the order they came, and whose they are; `created` is ISO 8601 in UTC."""

    entries: list[Entry] = Field(min_length=1)
    created: str = Field(default_factory=now)
    owner: str | None = None

    @property
    def says_none(self) -> bool:
        """Whether what answered can say "none of these"."""
        return all(entry.says_none for entry in self.entries)


class Records:
    """A folder of records, with one for each person inside it, so that nobody's push out those of others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shelves: dict[str | None, Shelf] = {}

    def save(self, record: Record, record_id: str) -> str:
        """Keep a record under its id, and give the id back.

        Raises:
            TellapartError: it cannot be written.
        """
        self._shelf(record.owner).put(record_id, record.model_dump_json().encode())
        return record_id

    def find(self, record_id: str, owner: str | None) -> Record | None:
        """Somebody's own record, or one that is nobody's; None where there is none (any more) or it cannot be read."""
        if not _ID.fullmatch(record_id):
            return None
        path = next((path for whose in {owner, None} if (path := self._shelf(whose).find(record_id))), None)
        try:
            return Record.model_validate_json(path.read_bytes()) if path else None
        except (OSError, ValidationError):
            return None

    def keep_for(self, record: Record, record_id: str, ends: Iterable[datetime]) -> None:
        """Keep a record for its week, and until all of these moments are over."""
        week = datetime.fromisoformat(record.created) + timedelta(seconds=KEEP_SECONDS)
        self._shelf(record.owner).keep_until(record_id, max([week, *ends]).timestamp())

    def sweep(self) -> None:
        """Delete what is too old or too many."""
        for owner in (None, *(path.name for path in (self._folder / _OWN).glob("*"))):
            self._shelf(owner).sweep()

    def _shelf(self, owner: str | None) -> Shelf:
        if owner not in self._shelves:
            folder = self._folder / _OWN / owner if owner else self._folder
            self._shelves[owner] = Shelf(folder, ".json", MAX_RECORDS)
        return self._shelves[owner]
