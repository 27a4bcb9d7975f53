"""Many pictures in one go: a folder sent part by part, or an archive read part by part.

Each is a folder of files: what was asked, the archive if there is one, and the answers of each part. Nothing
runs in the background: a part of an archive is answered when a page asks for it, so no restart loses anything.
"""

import math
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from zipfile import ZipInfo

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from tellapart.archives import DEFAULT_ARCHIVE_LIMITS, Archive, ArchiveError, open_archive
from tellapart.files import readable_disk_errors, write_bytes
from tellapart.manifest import now
from tellapart.wire import MAX_BATCH_IMAGES
from webui.answers import Question
from webui.cache import KEEP_SECONDS
from webui.records import Entry
from webui.shelf import modified

MAX_BATCHES = 100  # of one person, whose oldest go beyond
MAX_ARCHIVE_BYTES = 2 * 2**30  # of one person's archives together, likewise
MAX_PICTURES = DEFAULT_ARCHIVE_LIMITS.entries
PART = 32  # pictures of an archive that are answered at once
PAGE = 320  # pictures of a folder that are shown at once
GROUP_BYTES = 24 * 2**20
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_ENTRIES = TypeAdapter(list[Entry])


class Batch(BaseModel):
    """What was asked: pictures in number, by which version, and where they come from.

    `left_out` are files of the archive that are plainly no pictures.
    """

    id: str
    title: str
    tag: str
    top_k: int
    total: int = Field(ge=1, le=MAX_PICTURES)
    from_archive: bool = False
    left_out: int = 0
    created: str = Field(default_factory=now)
    owner: str | None = None

    @property
    def question(self) -> Question:
        """What is asked about each picture."""
        return Question(self.tag, self.top_k)


class Batches:
    """The batches of the last week; a person's own make room for theirs, never those of others."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock

    def start(
        self,
        title: str,
        question: Question,
        total: int,
        archive: Path | None = None,
        owner: str | None = None,
        left_out: int = 0,
    ) -> Batch:
        """A new batch behind an id nobody can guess; an archive is moved in.

        Raises:
            TellapartError: it cannot be written.
        """
        self._make_room(owner)
        batch = Batch(
            id=secrets.token_urlsafe(16),
            title=title,
            tag=question.tag,
            top_k=question.top_k,
            total=total,
            from_archive=archive is not None,
            left_out=left_out,
            owner=owner,
        )
        write_bytes(self._described(batch.id), batch.model_dump_json().encode())
        if archive is not None:
            with readable_disk_errors(self.archive(batch)):
                shutil.move(archive, self.archive(batch))
        return batch

    def find(self, batch_id: str) -> Batch | None:
        """The batch, None where there is none (any more)."""
        if not _ID.fullmatch(batch_id) or self._is_old(self._folder / batch_id):
            return None
        with suppress(OSError, ValidationError):
            return Batch.model_validate_json(self._described(batch_id).read_bytes())
        return None

    def archive(self, batch: Batch) -> Path:
        """Where the archive of a batch is, until all of it is answered."""
        return self._path(batch) / "pictures.zip"

    def save_part(self, batch: Batch, start: int, entries: list[Entry]) -> None:
        """Keep the answers from picture number `start` on."""
        write_bytes(self._path(batch) / _part_name(start), _ENTRIES.dump_json(entries), durable=False)
        if batch.from_archive and len(self._starts(batch)) == math.ceil(batch.total / PART):
            self.archive(batch).unlink(missing_ok=True)

    def part(self, batch: Batch, start: int) -> list[Entry] | None:
        """The answers from picture number `start` on, None where there are none yet."""
        with suppress(OSError, ValidationError):
            return _ENTRIES.validate_json((self._path(batch) / _part_name(start)).read_bytes())
        return None

    def entries(self, batch: Batch, first: int = 0, end: int = MAX_PICTURES) -> list[Entry]:
        """The answers there are so far to the pictures from number `first` to before `end`, in their order."""
        starts = [start for start in self._starts(batch) if first - MAX_BATCH_IMAGES < start < end]
        numbered = [(start + n, entry) for start in starts for n, entry in enumerate(self.part(batch, start) or [])]
        return [entry for number, entry in numbered if first <= number < end]

    def overlaps(self, batch: Batch, first: int, count: int) -> bool:
        """Whether some of so many pictures from number `first` on lie in another part; the same part may come again."""
        starts = self._starts(batch)
        before = max((start for start in starts if start < first), default=0)
        after = min((start for start in starts if start > first), default=batch.total)
        return first + count > after or (before < first and before + len(self.part(batch, before) or []) > first)

    def sweep(self) -> None:
        """Delete what is older than a week; another process may be deleting the same."""
        for path in self._folder.glob("*"):
            if self._is_old(path):
                shutil.rmtree(path, ignore_errors=True)

    def _path(self, batch: Batch) -> Path:
        return self._folder / batch.id

    def _described(self, batch_id: str) -> Path:
        return self._folder / batch_id / "batch.json"

    def _starts(self, batch: Batch) -> list[int]:
        """Where the parts begin that are answered."""
        return sorted(int(path.stem.split("-")[1]) for path in self._path(batch).glob("part-*.json"))

    def _is_old(self, path: Path) -> bool:
        """Whether a batch began more than a week ago; one that is just being made has no description yet."""
        described = path / "batch.json"
        return modified(described if described.exists() else path) < self._clock() - KEEP_SECONDS

    def _make_room(self, owner: str | None) -> None:
        """Delete the oldest of this owner's, so that one more is within what a person may have."""
        found = [batch for path in self._folder.glob("*") if (batch := self.find(path.name)) and batch.owner == owner]
        found.sort(key=lambda batch: modified(self._described(batch.id)), reverse=True)
        size = 0
        for rank, batch in enumerate(found, start=1):
            size += _size(self.archive(batch))
            if rank >= MAX_BATCHES or size > MAX_ARCHIVE_BYTES:
                shutil.rmtree(self._path(batch), ignore_errors=True)


def count_pictures(path: Path) -> tuple[int, int]:
    """How many files of an archive are looked at, and how many are left out as they are plainly no pictures.

    Raises:
        ArchiveError: it cannot be used, holds none, or would unpack to too much.
    """
    with open_archive(path) as archive:
        total = sum(member.file_size for member in archive.members)
        if total > DEFAULT_ARCHIVE_LIMITS.total_bytes:
            most = DEFAULT_ARCHIVE_LIMITS.total_bytes / 2**30
            raise ArchiveError("too_large", f"the archive unpacks to more than {most:.0f} GB")
        if not archive.members:
            raise ArchiveError("empty", "the archive holds no pictures")
        return len(archive.members), archive.left_out


def read_part(archive: Archive, start: int) -> Iterator[list[tuple[str, bytes | ArchiveError]]]:
    """Names and bytes of one part of an archive's files, or why there are none, some at a time to keep memory small."""
    group: list[tuple[str, bytes | ArchiveError]] = []
    size = 0
    for member in archive.members[start : start + PART]:
        data = _bytes(archive, member)
        group.append((member.filename, data))
        size += len(data) if isinstance(data, bytes) else 0
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _bytes(archive: Archive, member: ZipInfo) -> bytes | ArchiveError:
    try:
        return archive.read(member)
    except ArchiveError as error:
        return error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _part_name(start: int) -> str:
    return f"part-{start:06d}.json"
