"""Classifiers in the BentoML model store, and which version of each is promoted.

A name nobody promoted a version of answers with its newest.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from tellapart import promotions
from tellapart.bundle import BundleInfo
from tellapart.errors import DataError, MissingError, TellapartError, UsageError
from tellapart.files import held, readable_disk_errors
from tellapart.names import check_name
from tellapart.stored import LABEL, models_folder, read_ours

if TYPE_CHECKING:
    import bentoml

_SHOWN = 5  # classifiers that an error names


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


def list_models(name: str | None = None) -> list[StoredModel]:
    """All classifiers of ours, newest first; an unreadable one is left out."""
    promoted = promotions.promoted(promotions.read_pointer())
    models = [
        StoredModel(path.parent.name, path.name, path, info, promoted.get(path.parent.name) == path.name)
        for _, path, info in sorted(read_ours(), key=lambda found: found[0], reverse=True)
        if name in (None, path.parent.name)
    ]
    return _newest_promoted_where_none_is(models)


def default_model(models: list[StoredModel] | None = None) -> StoredModel | None:
    """What answers a request that names no classifier: the name promoted last, else the newest one."""
    models = list_models() if models is None else models
    name = promotions.read_pointer().get("default")
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
    shown = [m.tag for m in models[:_SHOWN]] or ["none yet"]
    there = ", ".join([*shown, f"and {len(models) - _SHOWN} more"] if len(models) > _SHOWN else shown)
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
    waiting = promotions.store_folder() / "tellapart-new"
    with ExitStack() as stack:
        with readable_disk_errors(waiting):
            waiting.mkdir(parents=True, exist_ok=True)
            folder = waiting / str(tag.version)
            with _store_lock():  # so that nobody sweeps a folder before its lock is held
                _sweep(waiting)
                folder.mkdir()
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                stack.enter_context(held(folder))
        yield folder, str(tag.version)
        _add(tag, folder)


def _add(tag: "bentoml.Tag", folder: Path) -> None:
    import bentoml

    context = bentoml.models.ModelContext(framework_name="tellapart", framework_versions={})
    try:
        with _store_lock():
            _sweep_copies(tag.name)
            with bentoml.models.create(tag, labels=LABEL, context=context) as model:
                for path in folder.iterdir():
                    shutil.move(path, model.path)
    except (shutil.Error, OSError) as error:  # copytree packs what failed into an Error of its own
        raise TellapartError(
            f"{tag} cannot be written into the model store at {promotions.store_folder()}", "Make room on the disk"
        ) from error


def _store_lock() -> FileLock:
    """Who adds or deletes versions does so alone: BentoML reads all of a name as it does, and stumbles over a half."""
    return FileLock(promotions.store_folder() / "tellapart-new.lock")


def _sweep_copies(name: str) -> None:
    """Take away versions whose copy into the store was cut off, which BentoML would stumble over."""
    for folder in (models_folder() / name).glob("*/"):
        said = folder / "model.yaml"
        if not said.exists() or not said.stat().st_size:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(waiting: Path) -> None:
    for folder in waiting.iterdir():
        with suppress(OSError), held(folder):
            shutil.rmtree(folder, ignore_errors=True)


def promote(tag: str) -> StoredModel:
    """Let a version answer for its name, and its name be the default.

    Raises:
        MissingError: there is no such version.
    """
    with promotions.changing_pointer() as pointer:
        model = resolve(tag)
        history = pointer.setdefault("promoted", {}).setdefault(model.name, [])
        if not history or history[-1] != model.version:
            history.append(model.version)
        pointer["default"] = model.name
    return resolve(model.tag)


def previous(name: str) -> str | None:
    """The tag that `rollback` would let answer again, None where there is none."""
    history = promotions.history(promotions.read_pointer(), name, {m.version for m in list_models(name)})
    return f"{name}:{history[-2]}" if len(history) > 1 else None


def rollback(name: str) -> StoredModel:
    """Let the version that was promoted before answer again.

    Raises:
        DataError: there is no earlier one.
    """
    with promotions.changing_pointer() as pointer:
        versions = {m.version for m in list_models(name)}
        if not versions:
            raise _no_classifier(name, list_models())
        history = promotions.history(pointer, name, versions)
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

    with _store_lock(), promotions.changing_pointer() as pointer:
        model = exact(tag)
        _sweep_copies(model.name)
        bentoml.models.delete(model.tag)
        history = pointer.get("promoted", {}).get(model.name, [])
        pointer.setdefault("promoted", {})[model.name] = [v for v in history if v != model.version]
    return model


def _newest_promoted_where_none_is(models: list[StoredModel]) -> list[StoredModel]:
    decided = {m.name for m in models if m.promoted}
    result = []
    for m in models:
        promoted = m.promoted or m.name not in decided
        decided.add(m.name)
        result.append(StoredModel(m.name, m.version, m.path, m.info, promoted))
    return result
