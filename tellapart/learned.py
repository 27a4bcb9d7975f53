"""Finding the data set a classifier was trained on, where it is on this machine."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from tellapart.bundle import BundleInfo
from tellapart.dataset import FOLDERS, STRANGERS, Dataset
from tellapart.errors import DataError, MissingError
from tellapart.settings import Settings


def trained_on(info: BundleInfo, settings: Settings, known: Sequence[Dataset] | None = None) -> Dataset | None:
    """The data set a classifier was trained on: by its digest, else by its name; None where it is not here.

    Who asks for many classifiers gives what `known_datasets` gave.
    """
    name = str(info.dataset.get("name", ""))
    found = [d for d in (known_datasets(settings) if known is None else known) if d.name == name]
    same = [d for d in found if is_unchanged(d, info)]
    return next(iter(same or [d for d in found if d.folder is None]), None)


def is_unchanged(dataset: Dataset, info: BundleInfo) -> bool:
    """Whether a data set is still what the classifier was trained on."""
    try:
        return _digest(dataset, _stamp(dataset)) == info.dataset.get("digest")
    except DataError:
        return False


@lru_cache(maxsize=32)
def _digest(dataset: Dataset, _: tuple[object, ...]) -> str:
    """The digest of a data set, taken again when its stamp is another: it reads every row, and pages ask often."""
    return dataset.digest()


def _stamp(dataset: Dataset) -> tuple[object, ...]:
    """What differs where the manifest, or the folder of pictures of none of the classes, was written to."""
    manifest = dataset.root / "manifest.sqlite"
    folder = (dataset.folder or dataset.root) / STRANGERS
    files = (manifest, manifest.with_name("manifest.sqlite-wal"), *sorted(folder.rglob("*")))
    return (_head(manifest), *((path, _written(path)) for path in files))


def _head(path: Path) -> bytes:
    """The head of a SQLite file, in which writes are counted."""
    try:
        with path.open("rb") as file:
            return file.read(100)
    except OSError:
        return b""


def _written(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def known_datasets(settings: Settings) -> list[Dataset]:
    """The data sets known by name, then the plain folders read before; one that cannot be read is left out."""
    roots = (settings.datasets, settings.home / FOLDERS)
    return [dataset for root in roots for path in sorted(root.glob("*/dataset.json")) for dataset in _opened(path)]


def _opened(described: Path) -> Iterator[Dataset]:
    with suppress(DataError, MissingError):
        yield Dataset.open(described.parent)
