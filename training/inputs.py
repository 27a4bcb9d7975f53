"""Finding pictures to classify: files, folders and zip archives, read one at a time. Needs no torch."""

import lzma
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tellapart.images import DEFAULT_LIMITS

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Input:
    """A file's bytes and what to call it."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Unusable:
    """What could not be read: a code as the service's, and one line for people."""

    name: str
    code: str
    message: str


@dataclass(frozen=True)
class ArchiveLimits:
    """How much of an archive is read; counted on what comes out, not on what its directory claims.

    Attributes:
        entries: members in all.
        total_bytes: of all members together.
        ratio: of a member's bytes to its compressed bytes, beyond `ratio_from` bytes.
    """

    entries: int = 10_000
    total_bytes: int = 2 * 2**30
    ratio: int = 200
    ratio_from: int = 2**20


DEFAULT_ARCHIVE_LIMITS = ArchiveLimits()


def find_inputs(paths: Iterable[Path], limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS) -> Iterator[Input | Unusable]:
    """The files of paths, folders (recursively, by name, hidden ones passed over) and zip archives.

    Nothing is extracted to disk. At most one file's bytes are held at a time, cut off just
    beyond the size that decoding accepts.
    """
    for path in paths:
        if path.is_dir():
            for file in _walk(path):
                yield from _from_file(file, limits)
        elif path.exists():
            yield from _from_file(path, limits)
        else:
            yield Unusable(printable(str(path)), "not_found", "there is no such file or folder")


def printable(name: str) -> str:
    """A name that stays on one line and cannot command a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def _walk(folder: Path) -> Iterator[Path]:
    for place, directories, names in os.walk(folder):
        directories[:] = sorted(d for d in directories if not d.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _from_file(path: Path, limits: ArchiveLimits) -> Iterator[Input | Unusable]:
    name = printable(str(path))
    if path.suffix.lower() == ".zip":
        yield from _from_archive(path, name, limits)
        return
    try:
        if not path.is_file():
            yield Unusable(name, "not_an_image", "not a regular file, or a link to nowhere")
            return
        with path.open("rb") as file:
            data = file.read(DEFAULT_LIMITS.max_bytes + 1)
    except OSError as error:
        yield Unusable(name, "not_found", f"it cannot be read: {error.strerror}")
        return
    yield Input(name, data)


def _from_archive(path: Path, name: str, limits: ArchiveLimits) -> Iterator[Input | Unusable]:
    room = limits.total_bytes
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if _is_visible_file(m)]
            if len(members) > limits.entries:
                yield Unusable(name, "too_large", f"the archive has {len(members)} files, at most {limits.entries}")
                return
            for member in members:
                found = _member(archive, member, f"{name}/{printable(member.filename)}", limits)
                room -= len(found.data) if isinstance(found, Input) else 0
                if room < 0:
                    yield Unusable(name, "too_large", f"the archive unpacks to more than {limits.total_bytes} bytes")
                    return
                yield found
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield Unusable(name, "truncated", f"the archive cannot be read: {printable(str(error))}")


def _is_visible_file(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return not member.is_dir() and not parts[-1].startswith(".") and parts[0] != "__MACOSX"


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, limits: ArchiveLimits) -> Input | Unusable:
    if member.flag_bits & 1:
        return Unusable(name, "unsupported_type", "it is encrypted")
    data = bytearray()
    try:
        with archive.open(member) as file:
            while len(data) <= DEFAULT_LIMITS.max_bytes and (chunk := file.read(_CHUNK)):
                data += chunk
                if len(data) > max(limits.ratio_from, limits.ratio * member.compress_size):
                    return Unusable(name, "too_large", f"it unpacks to more than {limits.ratio} times its size")
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        return Unusable(name, "truncated", f"it cannot be unpacked: {printable(str(error))}")
    return Input(name, bytes(data))
