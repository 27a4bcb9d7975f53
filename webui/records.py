"""What was answered to whom: one record per upload, behind an id nobody can guess, gone after a week."""

import re
import secrets
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from tellapart.manifest import now
from tellapart.wire import Problem, Result
from webui.shelf import Shelf

MAX_RECORDS = 20_000
_ID = re.compile(r"[A-Za-z0-9_-]{16}")


def new_id() -> str:
    """A fresh id, 96 random bits."""
    return secrets.token_urlsafe(12)


class Entry(BaseModel):
    """What became of one picture: a result, or the problem with it; `id` is its own record's."""

    name: str
    sha256: str
    id: str = ""
    result: Result | None = None
    error: Problem | None = None
    from_cache: bool = False


class Record(BaseModel):
    """The pictures of one upload, in the order they came, and whose they are; `created` is ISO 8601 in UTC."""

    entries: list[Entry] = Field(min_length=1)
    created: str = Field(default_factory=now)
    owner: str | None = None


class Records:
    """A folder of records."""

    def __init__(self, folder: Path) -> None:
        self._files = Shelf(folder, ".json", MAX_RECORDS)

    def save(self, record: Record, record_id: str) -> str:
        """Keep a record under its id, and give the id back.

        Raises:
            TellapartError: it cannot be written.
        """
        self._files.put(record_id, record.model_dump_json().encode())
        return record_id

    def find(self, record_id: str) -> Record | None:
        """The record, None where there is none (any more) or it cannot be read."""
        path = self._files.find(record_id) if _ID.fullmatch(record_id) else None
        try:
            return Record.model_validate_json(path.read_bytes()) if path else None
        except (OSError, ValidationError):
            return None
