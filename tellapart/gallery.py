"""The pictures of the demo gallery: a folder of folders, whose names are the words that find them."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif", ".tif", ".tiff"}


def picture_names(folder: Path) -> Iterator[str]:
    """The pictures below a folder, by their paths from there."""
    for root, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for file in files:
            path = Path(root, file)
            if path.suffix.lower() in _SUFFIXES and not path.is_symlink() and _is_text(path):
                yield path.relative_to(folder).as_posix()


def known_words(folder: Path, least: int = 8) -> dict[str, int]:
    """The words that find at least so many pictures, with their number, the most first; none where there is no folder.

    A folder is looked through once, and again when what stands right in it changes; what changes deeper is seen at
    the next start.
    """
    try:
        counts = _counts(folder, folder.stat().st_mtime_ns)
    except OSError:
        return {}
    return {word: number for word, number in counts if number >= least}


@lru_cache(maxsize=4)
def _counts(folder: Path, _: int) -> list[tuple[str, int]]:
    found = Counter(word for name in picture_names(folder) for word in set(PurePosixPath(name).parent.parts))
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _is_text(path: Path) -> bool:
    """Whether a path can be written in an address; names in no known encoding are left out."""
    return str(path).isprintable()
