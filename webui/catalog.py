"""Which classifiers there are, as the service says, asked at most once a second or so."""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

from tellapart.wire import ModelList, ModelSummary, ServiceError
from webui.client import ServiceClient

FRESH_SECONDS = 1.5
STALE_SECONDS = 60.0  # after which a list is not told any more, and the answer waited for, however long that takes
PATIENCE = 0.5


@dataclass(frozen=True)
class Classifier:
    """A classifier with all its versions, newest first; `current` is the one that answers."""

    name: str
    current: ModelSummary
    versions: tuple[ModelSummary, ...]


class Catalog:
    """The service's list of models, or that it cannot be had; either is remembered for `FRESH_SECONDS`.

    Every method raises what `ServiceClient` raises. A service that takes its time holds nobody for longer than
    `PATIENCE` who can be told what was known last.
    """

    def __init__(self, client: ServiceClient, changes: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """`changes` is a file that all processes of the page share, other whenever one of them changed the models."""
        self._client, self._changes, self._clock = client, changes, clock
        self._noticed: bytes | None = None
        self._lock = threading.Lock()
        self._seen: tuple[float, Future[ModelList]] | None = None
        self._asking: Future[ModelList] | None = None

    def models(self) -> ModelList:
        """The list; those who want it while it is asked for get the same answer."""
        with self._lock:
            self._notice_changes()
            when, known = self._seen or (-inf, None)
            age = self._clock() - when
            if known and age < FRESH_SECONDS:
                return _told(known)
            asking = self._asking or self._ask()
        if known and age < STALE_SECONDS and not known.exception():
            wait([asking], PATIENCE)
            return _told(asking if asking.done() else known)
        return _told(asking)

    def forget(self) -> None:
        """Ask again next time, in every process, and keep nothing of what is being asked: something was changed."""
        with suppress(OSError):  # such as on a full disk, where the others are late
            self._changes.parent.mkdir(parents=True, exist_ok=True)
            self._changes.write_bytes(secrets.token_bytes(16))
        with self._lock:
            self._seen = self._asking = None

    def _notice_changes(self) -> None:
        found = None
        with suppress(OSError):
            found = self._changes.read_bytes()
        if found != self._noticed:
            self._noticed, self._seen, self._asking = found, None, None

    def _ask(self) -> "Future[ModelList]":
        asking = Future[ModelList]()
        threading.Thread(target=self._answer, args=(asking,), name="models", daemon=True).start()
        self._asking = asking  # not before: one that cannot start would be waited for for ever
        return asking

    def _answer(self, asking: "Future[ModelList]") -> None:
        try:
            settle = partial(asking.set_result, self._client.models())
        except BaseException as error:  # whatever it is, nobody may wait for ever
            settle = partial(asking.set_exception, error)
        with self._lock:
            if self._asking is asking:
                self._asking, self._seen = None, (self._clock(), asking)
        settle()

    def classifiers(self) -> list[Classifier]:
        """Every classifier, in the service's order."""
        names = dict.fromkeys(m.name for m in self.models().models)
        return [self.classifier(name) for name in names]

    def classifier(self, name: str) -> Classifier:
        """One classifier by name.

        Raises:
            ServiceError: `unknown_model`.
        """
        versions = tuple(m for m in self.models().models if m.name == name)
        if not versions:
            raise ServiceError("unknown_model", f"there is no classifier {name!r}")
        return Classifier(name, next((m for m in versions if m.promoted), versions[0]), versions)

    def resolve(self, wanted: str) -> ModelSummary:
        """The exact version that "" (the default), NAME or NAME:VERSION stands for now.

        Raises:
            ServiceError: `unknown_model`.
        """
        wanted = wanted or self.models().default or ""
        if not wanted:
            raise ServiceError("unknown_model", "there is no classifier yet")
        for model in self.models().models:
            if model.model == wanted:
                return model
        return self.classifier(wanted).current


def _told(asked: "Future[ModelList]") -> ModelList:
    """What was answered; an error that many are told does not gather the traceback of each."""
    if error := asked.exception():
        raise error.with_traceback(None)
    return asked.result()
