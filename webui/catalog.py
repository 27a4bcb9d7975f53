"""Which classifiers there are, as the service says, asked at most once a second or so."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from tellapart.wire import ModelList, ModelSummary, ServiceError
from webui.client import ServiceClient

FRESH_SECONDS = 1.5


@dataclass(frozen=True)
class Classifier:
    """A classifier with all its versions, newest first; `current` is the one that answers."""

    name: str
    current: ModelSummary
    versions: tuple[ModelSummary, ...]


class Catalog:
    """The service's list of models, remembered for `FRESH_SECONDS`.

    Every method raises what `ServiceClient` raises; a failure is not remembered.
    """

    def __init__(self, client: ServiceClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._lock = threading.Lock()
        self._seen: tuple[float, ModelList] | None = None
        self._asking: Future[ModelList] | None = None

    def models(self) -> ModelList:
        """The list, at most `FRESH_SECONDS` old; those who want it while it is asked for get the same answer."""
        with self._lock:
            if self._seen and self._clock() - self._seen[0] < FRESH_SECONDS:
                return self._seen[1]
            answer, asked = self._asking, self._asking is not None
            if answer is None:
                answer = self._asking = Future()
        if not asked:
            self._ask(answer)
        return answer.result()

    def forget(self) -> None:
        """Ask again next time, and keep nothing of what is being asked: something was changed here."""
        with self._lock:
            self._seen = self._asking = None

    def _ask(self, answer: "Future[ModelList]") -> None:
        try:
            answer.set_result(self._client.models())
        except BaseException as error:  # whatever it is, nobody may wait for ever
            answer.set_exception(error)
        with self._lock:
            if self._asking is answer:
                self._asking = None
                self._seen = None if answer.exception() else (self._clock(), answer.result())

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
