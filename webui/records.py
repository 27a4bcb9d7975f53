"""What was answered to whom: one record per upload, behind an id nobody can guess, gone after a week."""

import re
import secrets
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from tellapart.errors import TellapartError
from tellapart.manifest import now
from tellapart.wire import Problem, Result
from webui.cache import KEEP_SECONDS, MAX_FILES, JsonFileCache

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
    """The pictures of one upload, in the order they came; `created` is ISO 8601 in UTC."""

    entries: list[Entry] = Field(min_length=1)
    created: str = Field(default_factory=now)


class Records:
    """A folder of records."""

    def __init__(self, folder: Path) -> None:
        self._files = JsonFileCache(str(folder), threshold=MAX_FILES, default_timeout=KEEP_SECONDS)

    def save(self, record: Record, record_id: str) -> str:
        """Keep a record under its id, and give the id back.

        Raises:
            TellapartError: it cannot be written.
        """
        if not self._files.set(record_id, record.model_dump(mode="json")):
            raise TellapartError("the result cannot be kept", "Make room on the disk of the web page")
        return record_id

    def find(self, record_id: str) -> Record | None:
        """The record, None where there is none (any more) or it cannot be read."""
        if not _ID.fullmatch(record_id):
            return None
        try:
            return Record.model_validate(self._files.get(record_id))
        except ValidationError:
            return None
