"""The pictures of a folder of folders, found by the words of the folders they stand in."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scraping.source import Unavailable
from tellapart.gallery import picture_names
from tellapart.names import slugify


@dataclass(frozen=True)
class Credit:
    """Who made a folder's pictures and on what terms; "" where it is not known."""

    license: str = ""
    license_url: str = ""
    author: str = ""


_STAMPS = Path("/usr/share/tuxpaint/stamps")
_STAMPS_CREDIT = Credit(
    "GPL-2",
    "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html",
    "Tux Paint stamp artists (Bill Kendrick et al.)",
)


class Catalog:
    """The pictures below one folder, each known by its path from there; nothing else can be reached through it.

    A file `credits.json` in the folder may say `license`, `license_url` and `author`.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder's tree.

        Raises:
            Unavailable: there is no such folder.
        """
        if not folder.is_dir():
            raise Unavailable(
                f"there is no folder of pictures {folder} for the gallery",
                "Install the demo pictures: apt-get install tuxpaint-stamps-default",
            )
        self._folder = folder
        self.credit = _read_credit(folder)
        self._words = {name: _folder_words(name) for name in sorted(picture_names(folder))}

    def __contains__(self, name: str) -> bool:
        return name in self._words

    def __len__(self) -> int:
        return len(self._words)

    def path(self, name: str) -> Path:
        """The file of a picture that is in the catalog."""
        if name not in self._words:
            raise KeyError(name)
        return self._folder / name

    def search(self, query: str) -> list[str]:
        """The names of the pictures in folders called like the query as a whole, or like each of its words."""
        whole = slugify(query)
        parts = {slugify(word) for word in query.split()}
        return [name for name, words in self._words.items() if query.strip() and (whole in words or parts <= words)]

    def topics(self) -> list[str]:
        """Names of the folders that hold pictures, to search for."""
        return sorted({PurePosixPath(name).parent.name for name in self._words} - {""})


def title(name: str) -> str:
    """A picture's title, from its file name."""
    return PurePosixPath(name).stem.replace("_", " ").replace("-", " ").strip().capitalize()


def _folder_words(name: str) -> frozenset[str]:
    return frozenset(slugify(part) for part in PurePosixPath(name).parent.parts)


def _read_credit(folder: Path) -> Credit:
    if folder.resolve() == _STAMPS.resolve():
        return _STAMPS_CREDIT
    try:
        said = json.loads((folder / "credits.json").read_text())
        return Credit(*(str(said.get(key, "")) for key in ("license", "license_url", "author")))
    except (OSError, ValueError, AttributeError):
        return Credit()
