"""Which classifiers a server can answer with, remembered until the model store changes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tellapart import promotions, store
from tellapart.errors import MissingError, TellapartError
from tellapart.store import StoredModel
from tellapart.wire import ModelList, ModelSummary, ServiceError

MAX_AGE_S = 10.0
_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class _Seen:
    stamp: _Stamp
    at: float
    models: tuple[StoredModel, ...]
    default: StoredModel | None

    @cached_property
    def by_name(self) -> dict[str, StoredModel]:
        """By what a request may say: NAME, NAME:VERSION, or ""."""
        found = {m.tag: m for m in self.models} | {m.name: m for m in self.models if m.promoted}
        return found | ({"": self.default} if self.default else {})


class Catalogue:
    """The classifiers in the store. A request costs one `stat` of the pointer file.

    The store is listed again when a promotion changed that file, when what was listed is older
    than `MAX_AGE_S`, or when something is asked for that is not on the list (at most once a second).
    Safe for threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: _Seen | None = None

    def known(self, model: str) -> StoredModel | None:
        """As `find`, where that needs no listing of the store; else None. Fast enough for an event loop."""
        seen = self._seen
        if seen is None or seen.stamp != _stamp() or self._clock() - seen.at >= MAX_AGE_S:
            return None
        return seen.by_name.get(model)

    def find(self, model: str) -> StoredModel:
        """The version that answers for NAME, NAME:VERSION, or "" for the default.

        Raises:
            ServiceError: `unknown_model`, or `unusable_model` where the store cannot be read.
        """
        try:
            return _pick(self._look(MAX_AGE_S), model)
        except ServiceError:
            return _pick(self._look(1.0), model)

    def list(self) -> ModelList:
        """Every version, newest first, and the default one."""
        seen = self._look(1.0)
        return ModelList(default=seen.default.tag if seen.default else None, models=[_summary(m) for m in seen.models])

    def _look(self, max_age: float) -> _Seen:
        stamp, now = _stamp(), self._clock()
        with self._lock:
            seen = self._seen
            if seen is None or seen.stamp != stamp or now - seen.at >= max_age:
                seen = self._seen = _list(stamp, now)
            return seen


def _list(stamp: _Stamp, now: float) -> _Seen:
    try:
        models = store.list_models()
        return _Seen(stamp, now, tuple(models), store.default_model(models))
    except TellapartError as error:
        raise ServiceError("unusable_model", f"the model store cannot be read: {error}") from error


def _stamp() -> _Stamp:
    try:
        found = promotions.pointer_file().stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _pick(seen: _Seen, model: str) -> StoredModel:
    if model:
        try:
            return store.resolve(model, list(seen.models))
        except MissingError as error:
            raise ServiceError("unknown_model", str(error)) from None
    if seen.default is None:
        raise ServiceError(
            "unknown_model", "there is no classifier yet. Make one: tellapart create NAME CLASS CLASS..."
        )
    return seen.default


def _summary(model: StoredModel) -> ModelSummary:
    accuracy, low, high = (_number(model.info.metrics.get(f"accuracy{part}")) for part in ("", "_low", "_high"))
    return ModelSummary(
        model=model.tag,
        name=model.name,
        version=model.version,
        promoted=model.promoted,
        classes=model.info.class_names,
        created=model.info.created,
        backbone=model.info.backbone,
        accuracy=accuracy,
        accuracy_interval=None if low is None or high is None else (low, high),
        says_none=model.info.says_none,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
