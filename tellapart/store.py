"""Classifiers in the BentoML model store, and which version of each is promoted.

BentoML's `latest` is the newest created; which version answers is our own decision, kept in
`tellapart.json` beside the models. A name nobody promoted a version of answers with its newest.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from tellapart.bundle import BundleInfo, read_info
from tellapart.errors import DataError, MissingError, TellapartError, UsageError
from tellapart.files import readable_disk_errors, write_json
from tellapart.names import check_name

if TYPE_CHECKING:
    import bentoml

LABEL = {"made-by": "tellapart"}
_REMEMBERED = 10_000  # versions, of some kB each
_Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class StoredModel:
    """One version of a classifier in the store."""

    name: str
    version: str
    path: Path
    info: BundleInfo
    promoted: bool

    @property
    def tag(self) -> str:
        """Exact tag, NAME:VERSION."""
        return f"{self.name}:{self.version}"


def pointer_file() -> Path:
    """The file that says which versions are promoted; its change tells a server to look again."""
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").expanduser() / "tellapart.json"


def list_models(name: str | None = None) -> list[StoredModel]:
    """All classifiers of ours, newest first; an unreadable one is left out."""
    promoted = _promoted(_read_pointer())
    models = [
        StoredModel(path.parent.name, path.name, path, info, promoted.get(path.parent.name) == path.name)
        for _, path, info in sorted(_stored_models(), key=lambda found: found[0], reverse=True)
        if name in (None, path.parent.name)
    ]
    return _newest_promoted_where_none_is(models)


def default_model(models: list[StoredModel] | None = None) -> StoredModel | None:
    """What answers a request that names no classifier: the name promoted last, else the newest one."""
    models = list_models() if models is None else models
    name = _read_pointer().get("default")
    chosen = [m for m in models if m.promoted and m.name == name]
    return next(iter(chosen or [m for m in models if m.promoted]), None)


def resolve(tag: str, models: list[StoredModel] | None = None) -> StoredModel:
    """The model of NAME (its promoted version), NAME:VERSION, or NAME:latest (the newest).

    Raises:
        MissingError: there is none; it says what there is.
    """
    models = list_models() if models is None else models
    name, _, version = tag.partition(":")
    mine = [m for m in models if m.name == name]
    if version == "latest":
        found = mine[:1]
    else:
        found = [m for m in mine if (m.version == version if version else m.promoted)]
    if not found:
        raise _no_classifier(tag, mine or models)
    return found[0]


def _no_classifier(tag: str, models: Sequence[StoredModel]) -> MissingError:
    there = ", ".join(m.tag for m in models[:5]) or "none yet"
    return MissingError(f"there is no classifier {tag[:120]!r}", f"There are: {there}")


@contextmanager
def new_model(name: str) -> Iterator[tuple[Path, str]]:
    """A folder to write a bundle to, and its version; it enters the store when the block ends well.

    The folder lies beside the store until then. What a killed process left there goes at the next call;
    a copy into the store that was cut off is never listed, as its files' sizes tell.

    Raises:
        TellapartError: the disk is full or the store cannot be written.
    """
    import bentoml

    tag = bentoml.Tag.from_taglike(check_name(name)).make_new_version()
    waiting = pointer_file().parent / "tellapart-new"
    with ExitStack() as held:
        with readable_disk_errors(waiting):
            waiting.mkdir(parents=True, exist_ok=True)
            folder = waiting / str(tag.version)
            with FileLock(f"{waiting}.lock"):  # so that nobody sweeps a folder before its lock is held
                _sweep(waiting)
                folder.mkdir()
                held.callback(shutil.rmtree, folder, ignore_errors=True)
                held.enter_context(_locked(folder))
        yield folder, str(tag.version)
        _add(tag, folder)


def _add(tag: "bentoml.Tag", folder: Path) -> None:
    import bentoml

    context = bentoml.models.ModelContext(framework_name="tellapart", framework_versions={})
    try:
        with bentoml.models.create(tag, labels=LABEL, context=context) as model:
            for path in folder.iterdir():
                shutil.move(path, model.path)
    except (shutil.Error, OSError) as error:  # copytree packs what failed into an Error of its own
        raise TellapartError(
            f"{tag} cannot be written into the model store at {pointer_file().parent}", "Make room on the disk"
        ) from error


def _sweep(waiting: Path) -> None:
    for folder in waiting.iterdir():
        with suppress(OSError), _locked(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder, as a process does that may be in another container and has no number here.

    Raises:
        BlockingIOError: another one holds it.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)


def promote(tag: str) -> StoredModel:
    """Let a version answer for its name, and its name be the default.

    Raises:
        MissingError: there is no such version.
    """
    model = resolve(tag)
    with _changing_pointer() as pointer:
        history = pointer.setdefault("promoted", {}).setdefault(model.name, [])
        if not history or history[-1] != model.version:
            history.append(model.version)
        pointer["default"] = model.name
    return resolve(model.tag)


def previous(name: str) -> str | None:
    """The tag that `rollback` would let answer again, None where there is none."""
    history = _history(_read_pointer(), name, {m.version for m in list_models(name)})
    return f"{name}:{history[-2]}" if len(history) > 1 else None


def rollback(name: str) -> StoredModel:
    """Let the version that was promoted before answer again.

    Raises:
        DataError: there is no earlier one.
    """
    versions = {m.version for m in list_models(name)}
    if not versions:
        raise _no_classifier(name, list_models())
    with _changing_pointer() as pointer:
        history = _history(pointer, name, versions)
        if len(history) < 2:
            raise DataError(f"no earlier version of {name} was promoted", f"See: tellapart models list {name}")
        pointer["promoted"][name] = history[:-1]
    return resolve(name)


def exact(tag: str) -> StoredModel:
    """The version that NAME:VERSION names.

    Raises:
        UsageError: the tag names no version.
        MissingError: there is no such version.
    """
    if ":" not in tag:
        raise UsageError(f"{tag[:120]!r} names no version", "Give NAME:VERSION, so that nothing else is deleted")
    return resolve(tag)


def delete(tag: str) -> StoredModel:
    """Take one exact version out of the store.

    Raises:
        UsageError, MissingError: as `exact`.
    """
    import bentoml

    model = exact(tag)
    bentoml.models.delete(model.tag)
    with _changing_pointer() as pointer:
        history = pointer.get("promoted", {}).get(model.name, [])
        pointer.setdefault("promoted", {})[model.name] = [v for v in history if v != model.version]
    return model


def _models_folder() -> Path:
    """The store BentoML works on: inside a container that is the Bento's own, not BENTOML_HOME's."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    try:
        return Path(BentoMLContainer.model_store.get()._path)
    except OSError as error:
        raise TellapartError(
            f"the model store at {pointer_file().parent} cannot be used: {error.strerror}",
            "Set BENTOML_HOME to a folder that can be written",
        ) from error


def _stored_models() -> Iterator[tuple[datetime, Path, BundleInfo]]:
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
    for path in _models_folder().glob("*/*/model.yaml"):
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


def _newest_promoted_where_none_is(models: list[StoredModel]) -> list[StoredModel]:
    decided = {m.name for m in models if m.promoted}
    result = []
    for m in models:
        promoted = m.promoted or m.name not in decided
        decided.add(m.name)
        result.append(StoredModel(m.name, m.version, m.path, m.info, promoted))
    return result


def _promoted(pointer: dict[str, Any]) -> dict[str, str]:
    return {name: versions[-1] for name, versions in pointer.get("promoted", {}).items() if versions}


def _history(pointer: dict[str, Any], name: str, versions: set[str]) -> list[str]:
    """The versions of a name that were promoted and are still there, oldest first."""
    return [v for v in pointer.get("promoted", {}).get(name, []) if v in versions]


def _read_pointer() -> dict[str, Any]:
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
def _changing_pointer() -> Iterator[dict[str, Any]]:
    path = pointer_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        pointer = _read_pointer()
        yield pointer
        write_json(path, pointer)
