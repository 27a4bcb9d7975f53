"""One's own pictures: a folder with one folder for each class."""

import os
from collections.abc import Generator
from pathlib import Path

from scraping.source import Candidate, NoResults, Unavailable, whole_text
from tellapart.errors import DataError
from tellapart.names import ClassName, slugify


class FolderSource:
    """Every file below PATH/<class>, however deep; the class folder is named like the class or its slug.

    Hidden files and folders are left out; anything else is a candidate, so that what is no picture is
    counted and named rather than passed over.
    """

    local = True
    remembered = False

    def __init__(self, path: Path) -> None:
        """Raises DataError where `path` is no folder."""
        if not path.is_dir():
            raise DataError(f"there is no folder {path}", "Give a folder that has one folder for each class")
        self._path = path
        self.name = whole_text(f"folder:{path}")

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:
        """The files of one class in the order of their paths."""
        files = sorted(f for folder in self._folders(class_name) for f in _files(folder))
        if not files:
            raise NoResults(
                f"{self._path} has no files for {class_name.name!r}", f"Put them in {self._path / class_name.slug}"
            )
        for rank, file in enumerate(files):
            yield Candidate(file.as_uri(), self.name, query, rank, title=file.name)

    def close(self) -> None:
        """Nothing is held."""

    def _folders(self, class_name: ClassName) -> list[Path]:
        try:
            return [f for f in self._path.iterdir() if f.is_dir() and slugify(f.name) == class_name.slug]
        except OSError as error:
            raise _unreadable(error) from error


def _files(folder: Path) -> Generator[Path, None, None]:
    for root, folders, names in os.walk(folder, onerror=_stop):
        folders[:] = [f for f in folders if not f.startswith(".")]
        yield from (Path(root, name) for name in names if not name.startswith("."))


def _stop(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> Unavailable:
    return Unavailable(f"{error.filename} cannot be read: {error.strerror}", "Check the folder's permissions")
