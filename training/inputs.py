"""Finding pictures to classify: files, folders and zip archives, read one at a time. Needs no torch."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipInfo

from tellapart.archives import DEFAULT_ARCHIVE_LIMITS, Archive, ArchiveError, ArchiveLimits, open_archive, printable
from tellapart.images import DEFAULT_LIMITS
from tellapart.sniffing import begins_as_picture, named_as_picture


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
class LeftOut:
    """Files of a folder or an archive that are plainly no pictures, by name and by content."""

    count: int = 1


Found = Input | Unusable | LeftOut


def find_inputs(paths: Iterable[Path], limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS) -> Iterator[Found]:
    """The files of paths, folders (recursively, by name, hidden ones passed over) and zip archives.

    What is no picture, such as a readme, is left out of folders and archives; a file that was named itself never is.
    Nothing is extracted to disk. At most one file's bytes are held at a time, cut off just
    beyond the size that decoding accepts.
    """
    for path in paths:
        if path.is_dir():
            for file in _walk(path):
                yield from map(_without_others, _from_file(file, limits))
        elif path.exists():
            yield from _from_file(path, limits)
        else:
            yield Unusable(printable(str(path)), "not_found", "there is no such file or folder")


def _walk(folder: Path) -> Iterator[Path]:
    for place, directories, names in os.walk(folder):
        directories[:] = sorted(d for d in directories if not d.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _without_others(found: Found) -> Found:
    is_other = isinstance(found, Input) and not (named_as_picture(found.name) or begins_as_picture(found.data))
    return LeftOut() if is_other else found


def _from_file(path: Path, limits: ArchiveLimits) -> Iterator[Found]:
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


def _from_archive(path: Path, name: str, limits: ArchiveLimits) -> Iterator[Found]:
    room = limits.total_bytes
    try:
        with open_archive(path, limits) as archive:
            if archive.left_out:
                yield LeftOut(archive.left_out)
            for member in archive.members:
                found = _member(archive, member, f"{name}/{printable(member.filename)}")
                room -= len(found.data) if isinstance(found, Input) else 0
                if room < 0:
                    yield Unusable(name, "too_large", f"the archive unpacks to more than {limits.total_bytes} bytes")
                    return
                yield _without_others(found)
    except ArchiveError as error:
        yield Unusable(name, error.code, str(error))


def _member(archive: Archive, member: ZipInfo, name: str) -> Input | Unusable:
    try:
        return Input(name, archive.read(member))
    except ArchiveError as error:
        return Unusable(name, error.code, str(error))
