"""How plain folders are laid out: which classes and splits they have, and which files; see `folders`."""

import os
from dataclasses import dataclass
from pathlib import Path

from tellapart.dataset import STRANGERS
from tellapart.errors import DataError, UsageError
from tellapart.names import MIN_CLASSES, ClassName, parse_class_name, refuse_same_slug
from tellapart.wording import counted

_LEFT_BY_MAC = "__MACOSX"  # stands beside what was in an archive that a Mac packed
_SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class FolderFile:
    """A file of a class folder, not opened yet."""

    path: Path
    class_slug: str
    split: str

    @property
    def url(self) -> str:
        """Its address in the manifest."""
        return self.path.as_uri()

    @property
    def key(self) -> tuple[str, str]:
        """Identity of its manifest row."""
        return self.class_slug, self.url


def read_layout(folder: Path) -> tuple[tuple[ClassName, ...], list[FolderFile]]:
    """The classes of a folder, by folder name, and the files of each.

    Raises:
        DataError: it has too few classes, two that are one, or one that cannot be read or be a class.
    """
    classes: dict[str, ClassName] = {}
    files: list[FolderFile] = []
    for split, directory in _split_folders(folder):
        class_folders = [(_class_of(d, folder), d) for d in _directories(directory) if d.name != STRANGERS]
        _refuse_same(directory, [c for c, _ in class_folders])
        for c, class_folder in class_folders:
            classes.setdefault(c.slug, c)
            files += [FolderFile(path, c.slug, split) for path in _files(class_folder)]
    if len(classes) < MIN_CLASSES:
        raise DataError(
            f"{folder} holds {counted(len(classes), 'class folder')}, expected at least {MIN_CLASSES}",
            "Put the pictures of each class into a folder of its own",
        )
    return tuple(sorted(classes.values(), key=lambda c: c.name)), files


def _split_folders(folder: Path) -> list[tuple[str, Path]]:
    """(split, folder that holds class folders); the split is "" where none is given."""
    directories = [d for d in _directories(folder) if d.name != STRANGERS]
    named = [d for d in directories if d.name.lower() in _SPLITS and _directories(d)]
    if named and (len(named) > 1 or named == directories):
        return [(_SPLITS[d.name.lower()], d) for d in named]
    return [("", folder)]


def _directories(folder: Path) -> list[Path]:
    try:
        inside = sorted(d for d in folder.iterdir() if d.is_dir())
        return [d for d in inside if not d.name.startswith(".") and d.name != _LEFT_BY_MAC]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}", "Check the folder and its permissions") from error


def _class_of(class_folder: Path, folder: Path) -> ClassName:
    if not class_folder.resolve().is_relative_to(folder):
        raise DataError(f"{class_folder} is a link that leads outside {folder}", "Copy the pictures into the folder")
    try:
        return parse_class_name(class_folder.name)
    except UsageError as error:
        raise DataError(f"a class folder in {class_folder.parent}: {error.what}", "Rename it") from error


def _refuse_same(directory: Path, classes: list[ClassName]) -> None:
    try:
        refuse_same_slug(classes)
    except UsageError as error:
        raise DataError(f"class folders in {directory}: {error.what}", error.fix) from error


def _files(class_folder: Path) -> list[Path]:
    """All files below a class folder, and what stands there in a file's place: links, unreadable folders."""
    found: list[Path] = []
    unreadable: list[OSError] = []
    for place, directories, names in os.walk(class_folder, onerror=unreadable.append):
        links = [d for d in directories if (Path(place) / d).is_symlink()]
        directories[:] = [d for d in directories if not d.startswith(".")]
        found += [Path(place) / name for name in names + links if not name.startswith(".")]
    found += [Path(error.filename) for error in unreadable]
    return sorted(found)
