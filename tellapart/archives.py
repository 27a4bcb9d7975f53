"""Reading zip archives from outside, one member at a time, under limits; nothing is ever unpacked to disk."""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tellapart.errors import DataError
from tellapart.images import DEFAULT_LIMITS
from tellapart.sniffing import HEAD, begins_as_picture, named_as_picture

_CHUNK = 1 << 16
_QUICK = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack a large block for the first byte
_DIRECTORY_SIZE = 5  # where zipfile's end record says how many bytes the directory has
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class ArchiveLimits:
    """How much of an archive is read.

    Attributes:
        entries: files in all; directory_bytes: of the list of them, looked at before the list is read.
        total_bytes: of all files together, unpacked.
        ratio: of a file's bytes to its compressed bytes, beyond `ratio_from` bytes; counted on what comes out.
    """

    entries: int = 10_000
    directory_bytes: int = 16 * 2**20
    total_bytes: int = 2 * 2**30
    ratio: int = 200
    ratio_from: int = 2**20


DEFAULT_ARCHIVE_LIMITS = ArchiveLimits()


class ArchiveError(DataError):
    """An archive, or one file in it, that cannot be used; `code` is one of the service's."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what)
        self.code = code


class Archive:
    """An opened archive; `open_archive` makes one.

    Attributes:
        members: its files in their order; hidden ones and what macOS adds are passed over. Names have slashes.
        left_out: how many other files there are, which are plainly no pictures by name and content.
    """

    def __init__(self, archive: zipfile.ZipFile, limits: ArchiveLimits) -> None:
        """Raises ArchiveError where it holds too much."""
        self._archive, self._limits = archive, limits
        for member in archive.infolist():
            member.filename = member.filename.replace("\\", "/")  # as some programs on Windows write it
        visible = [m for m in archive.infolist() if _is_visible_file(m)]
        if len(visible) > limits.entries:
            raise ArchiveError("too_large", f"the archive has {len(visible)} files, at most {limits.entries}")
        self.members = [m for m in visible if named_as_picture(m.filename) or self._may_be_picture(m)]
        self.left_out = len(visible) - len(self.members)

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """A file's bytes, cut off just beyond the size that decoding accepts.

        zipfile gives no more bytes than the directory claims, so those claims bound what is read.

        Raises:
            ArchiveError: why it cannot be read.
        """
        _check(member)
        data = bytearray()
        try:
            with self._archive.open(member) as file:
                while len(data) <= DEFAULT_LIMITS.max_bytes and (chunk := file.read(_CHUNK)):
                    data += chunk
                    if len(data) > max(self._limits.ratio_from, self._limits.ratio * member.compress_size):
                        raise ArchiveError("too_large", f"it unpacks to more than {self._limits.ratio} times its size")
        except _DAMAGED as error:
            raise ArchiveError("truncated", f"it cannot be unpacked: {printable(str(error))}") from error
        return bytes(data)

    def _may_be_picture(self, member: zipfile.ZipInfo) -> bool:
        """By its first bytes; what does not give them cheaply is left to `read`."""
        if member.compress_type not in _QUICK:
            return True
        try:
            with self._archive.open(member) as file:
                return begins_as_picture(file.read(HEAD))
        except _DAMAGED:
            return True


@contextmanager
def open_archive(path: Path, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS) -> Iterator[Archive]:
    """Open a zip archive.

    Raises:
        ArchiveError: it is none, is damaged, or holds too much.
    """
    try:
        _check_directory(path, limits)
        opened = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        why = "it is damaged, cut off or no zip archive. Pack it again"
        raise ArchiveError("truncated", f"the archive cannot be read: {why}") from error
    except (OSError, ValueError, NotImplementedError) as error:
        raise ArchiveError("truncated", f"the archive cannot be read: {printable(str(error))}") from error
    with opened:
        yield Archive(opened, limits)


def printable(name: str) -> str:
    """A name that stays on one line and cannot command a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def _check_directory(path: Path, limits: ArchiveLimits) -> None:
    """Refuse a list of files that would take long to read."""
    end_record: Any = getattr(zipfile, "_EndRecData")  # noqa: B009 (not in its stubs)
    with path.open("rb") as file:
        found = end_record(file)
    if found and found[_DIRECTORY_SIZE] > limits.directory_bytes:
        raise ArchiveError("too_large", f"the archive has more files than the {limits.entries} that are taken")


def _is_visible_file(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return not member.is_dir() and not parts[-1].startswith(".") and parts[0] != "__MACOSX"


def _check(member: zipfile.ZipInfo) -> None:
    name = member.filename
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ArchiveError("not_an_image", "it is a link")
    if name.startswith("/") or ".." in name.split("/"):
        raise ArchiveError("not_an_image", "its name leads out of the archive")
    if member.flag_bits & 1:
        raise ArchiveError("unsupported_type", "it is encrypted")
