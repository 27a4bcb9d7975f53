"""One's own list of addresses.

PATH is one of
- a text file with one `class<TAB>address` or `class,address` a line; `#` starts a comment line;
- a CSV file whose header names at least `class` and `url`, and may name `page_url`, `title`, `license`,
  `license_url`, `author` and `attribution`;
- a folder with a text file <class>.txt for each class, one address a line.

An address without a class belongs nowhere, so a list that has one is refused as a whole, with the line
named. What stands beside a class but is no address becomes a candidate all the same: it ends in the
manifest as turned away, and is counted there.
"""

import csv
import io
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path

from scraping.source import Candidate, NoResults, whole_text
from tellapart.errors import DataError
from tellapart.names import ClassName, slugify

_DETAILS = ("page_url", "title", "license", "license_url", "author", "attribution")
_CLASS_AND_URL = re.compile(r"([^,\t]*)[,\t](.*)")
_Row = Mapping[str, str]


class UrlsSource:
    """The addresses of a list; only public ones are fetched."""

    local = False
    remembered = False

    def __init__(self, path: Path) -> None:
        """Raises DataError where the list cannot be read or an address has no class."""
        self.name = whole_text(f"urls:{path}")
        self._path = path
        self._rows: dict[str, list[_Row]] = {}
        for row in _read_folder(path) if path.is_dir() else _read_file(path):
            self._rows.setdefault(slugify(row["class"]), []).append(row)

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:
        """The addresses of one class in the list's order."""
        rows = self._rows.get(class_name.slug, [])
        if not rows:
            raise NoResults(f"{self._path} has no addresses for {class_name.name!r}", "Add some to the list")
        for rank, row in enumerate(rows):
            yield Candidate(row["url"], self.name, query, rank, **{k: row[k] for k in _DETAILS if row.get(k)})

    def close(self) -> None:
        """Nothing is held."""


def _read_folder(folder: Path) -> Iterator[_Row]:
    lists = sorted(folder.glob("*.txt"))
    if not lists:
        raise DataError(f"{folder} has no lists of addresses", "Put a <class>.txt there for each class")
    for path in lists:
        yield from ({"class": path.stem, "url": line} for _, line in _lines(_text(path)))


def _read_file(path: Path) -> Iterator[_Row]:
    text = _text(path)
    header = [name.strip().lower() for name in text.partition("\n")[0].split(",")]
    if "url" in header:
        return _read_csv(path, text, header)
    return _read_pairs(path, _lines(text))


def _read_csv(path: Path, text: str, header: list[str]) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text), fieldnames=header, restkey="rest", restval="")
    next(reader)
    try:
        for record in reader:
            row = {key: value.strip() for key, value in record.items() if isinstance(value, str)}
            if not row.get("class"):
                raise _without_class(path, reader.line_num, row["url"])
            yield row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}", "Write the list as plain CSV") from error


def _read_pairs(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[_Row]:
    for number, line in lines:
        found = _CLASS_AND_URL.fullmatch(line)
        if not found or not found[1].strip() or "://" in found[1]:
            raise _without_class(path, number, line)
        yield {"class": found[1].strip(), "url": found[2].strip()}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(line number, text) of the lines that say something."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text", "Save the list as plain text") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "Give a file with a line an address") from error


def _without_class(path: Path, number: int, line: str) -> DataError:
    return DataError(
        f"{path}, line {number} names no class: {line[:80]!r}",
        "Write class,address on every line, or give a folder with a <class>.txt for each class",
    )
