"""Where the model store is, and which version of each classifier is promoted: a file beside the models.

BentoML's `latest` is the newest created; which version answers is our own decision. Loads neither BentoML nor numpy.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from tellapart.errors import DataError, TellapartError
from tellapart.files import why_unwritable, write_json

_FOLDERS = ("bentos", "models", "envs", "tmp")  # what BentoML makes before it serves


def store_folder() -> Path:
    """The folder of all that BentoML keeps, models included."""
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").expanduser()


def check_store(writing: bool = False) -> None:
    """Refuse a model store that BentoML cannot start on. One that was made before may be read-only, but for `writing`.

    Raises:
        TellapartError: what is in the way.
    """
    folder = store_folder()
    missing = [path for name in _FOLDERS if not (path := folder / name).is_dir()]
    for place in [folder, folder / "models"] if writing else missing[:1]:
        if reason := why_unwritable(place):
            raise unusable_store(reason)


def unusable_store(reason: str) -> TellapartError:
    """What is said of a model store that can be neither read nor made."""
    what = f"the model store at {store_folder()} cannot be used: {reason}"
    return TellapartError(what, "Set BENTOML_HOME to a folder that can be written")


def pointer_file() -> Path:
    """The file that says which versions are promoted; its change tells a server to look again."""
    return store_folder() / "tellapart.json"


def promoted(pointer: dict[str, Any]) -> dict[str, str]:
    """The version of each name that was promoted last."""
    return {name: versions[-1] for name, versions in pointer.get("promoted", {}).items() if versions}


def history(pointer: dict[str, Any], name: str, versions: set[str]) -> list[str]:
    """The versions of a name that were promoted and are still there, oldest first."""
    return [v for v in pointer.get("promoted", {}).get(name, []) if v in versions]


def read_pointer() -> dict[str, Any]:
    """What the pointer file says: "promoted", the versions of each name, oldest first, and "default", a name.

    Raises:
        DataError: it is damaged.
    """
    path = pointer_file()
    try:
        value = json.loads(path.read_text())
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
        return value
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(f"{path} is not readable: {error}", "Delete it and promote again") from error


@contextmanager
def changing_pointer() -> Iterator[dict[str, Any]]:
    """`read_pointer`, to be changed: it is written when the block ends well, and nobody else writes meanwhile."""
    path = pointer_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        pointer = read_pointer()
        yield pointer
        write_json(path, pointer)
