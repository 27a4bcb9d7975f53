"""Finding the data set a classifier was trained on, where it is on this machine."""

from collections.abc import Iterator

from tellapart.bundle import BundleInfo
from tellapart.dataset import FOLDERS, Dataset
from tellapart.errors import DataError, MissingError
from tellapart.settings import Settings


def trained_on(info: BundleInfo, settings: Settings) -> Dataset | None:
    """The data set a classifier was trained on: by its digest, else by its name; None where it is not here."""
    name = str(info.dataset.get("name", ""))
    found = [d for d in _known(settings) if d.name == name]
    same = [d for d in found if is_unchanged(d, info)]
    return next(iter(same or [d for d in found if d.folder is None]), None)


def is_unchanged(dataset: Dataset, info: BundleInfo) -> bool:
    """Whether a data set is still what the classifier was trained on."""
    try:
        return dataset.digest() == info.dataset.get("digest")
    except DataError:
        return False


def _known(settings: Settings) -> Iterator[Dataset]:
    """The data sets known by name, then the plain folders read before."""
    for root in (settings.datasets, settings.home / FOLDERS):
        for path in sorted(root.glob("*/dataset.json")):
            try:
                yield Dataset.open(path.parent)
            except (DataError, MissingError):
                continue
