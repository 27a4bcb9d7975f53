"""Reading what is in the model store: which models are classifiers of ours, and what they say."""

import os
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from tellapart.bundle import BundleInfo, read_info
from tellapart.promotions import unusable_store

LABEL = {"made-by": "tellapart"}
_REMEMBERED = 10_000  # versions, of some kB each
_Stamp = tuple[tuple[str, int, int], ...]


def models_folder() -> Path:
    """The store BentoML works on: inside a container that is the Bento's own, not BENTOML_HOME's."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    try:
        return Path(BentoMLContainer.model_store.get()._path)
    except OSError as error:
        raise unusable_store(error.strerror or str(error)) from error


def read_ours() -> Iterator[tuple[datetime, Path, BundleInfo]]:
    """Folders of our classifiers with when they were made and what they say. BentoML's own list fails as a whole where
    a killed process left half a model.
    """
    for folder, found in _read_all():
        if found and found[1]:
            yield found[0], folder, found[1]


def unreadable() -> list[str]:
    """Tags of what is in the store and cannot be read, and is therefore listed nowhere."""
    return sorted(f"{folder.parent.name}:{folder.name}" for folder, found in _read_all() if found is None)


def _read_all() -> Iterator[tuple[Path, tuple[datetime, BundleInfo | None] | None]]:
    """Every model's folder with what `_read_stored` gives of it, None where it cannot be read."""
    for path in models_folder().glob("*/*/model.yaml"):
        try:
            found = _read_stored(path.parent, _stamp(path.parent))
        except Exception:  # a damaged model.yaml may raise nearly anything
            found = None
        yield path.parent, found


@lru_cache(maxsize=_REMEMBERED)
def _read_stored(folder: Path, _: _Stamp) -> tuple[datetime, BundleInfo | None]:
    """When a model was made, and what it says where it is ours; read once, until one of its files changes."""
    import bentoml

    stored = bentoml.models.get(f"{folder.parent.name}:{folder.name}")
    ours = stored.info.labels.get("made-by") == LABEL["made-by"]
    return stored.info.creation_time, read_info(folder) if ours else None


def _stamp(folder: Path) -> _Stamp:
    with os.scandir(folder) as files:
        return tuple(sorted((file.name, (found := file.stat()).st_mtime_ns, found.st_size) for file in files))
