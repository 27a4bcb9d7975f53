"""Finding a classifier's classes among the folders it is measured on. Needs no torch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tellapart.errors import DataError, NoDataError, UsageError
from tellapart.names import ClassName, parse_class_name

_PARTS = ("test", "val", "validation", "train")
_SHOWN = 5


@dataclass(frozen=True)
class ClassFolders:
    """The folders of a classifier's classes.

    Attributes:
        root: the folder that holds them.
        index: of each folder, which class it holds.
        left_out: the folders beside them that are of no class, by name, with how many files each has.
    """

    root: Path
    index: Mapping[Path, int]
    left_out: Mapping[str, int]

    def files(self) -> list[tuple[Path, int]]:
        """Every visible file of a class, with its class index."""
        return [(path, index) for folder, index in self.index.items() for path in _files(folder)]


def find_class_folders(folder: Path, classes: Sequence[ClassName]) -> ClassFolders:
    """Look for FOLDER/<class name or slug>.

    Raises:
        NoDataError: there is no such folder.
        DataError: none of what it holds is named like a class.
    """
    if not folder.is_dir():
        raise NoDataError(f"there is no folder {folder}", "Give a folder that has one folder for each class")
    index = {key: i for i, c in enumerate(classes) for key in (c.name.casefold(), c.slug)}
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    found = {path: i for path in inside if (i := _class_index(path, index)) is not None}
    if not found:
        raise DataError(
            f"{folder} has no folder named like a class of this classifier ({_listed([c.name for c in classes])})",
            _advice(folder, [path.name for path in inside]),
        )
    left_out = {path.name: sum(1 for _ in _files(path)) for path in inside if path not in found}
    return ClassFolders(folder, found, left_out)


def _advice(folder: Path, inside: Sequence[str]) -> str:
    parts = [part for part in _PARTS if part in inside]
    if parts:
        return f"Give the part to measure on: {folder / parts[0]}"
    return f"It has: {_listed(inside)}" if inside else "Put the pictures into a folder for each class"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _class_index(path: Path, index: Mapping[str, int]) -> int | None:
    """By the folder's name first: an older bundle may have a slug that the name does not give any more."""
    try:
        named = parse_class_name(path.name)
    except UsageError:
        return None
    return index.get(named.name.casefold(), index.get(named.slug))


def _files(folder: Path) -> Iterator[Path]:
    """Every visible file below a folder."""
    for place, directories, names in os.walk(folder):
        directories[:] = sorted(d for d in directories if not d.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))
