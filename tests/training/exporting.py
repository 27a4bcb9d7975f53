"""What tests of exports share."""

from pathlib import Path

from tellapart.bundle import read_info
from tellapart.store import StoredModel


def stored(folder: Path, name: str = "pets", version: str = "v1") -> StoredModel:
    """A bundle as if it lay in the model store."""
    return StoredModel(name, version, folder, read_info(folder), True)
