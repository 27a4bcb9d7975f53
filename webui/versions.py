"""Which versions of a classifier there are, with what each is known by, and changing which one answers."""

from dataclasses import dataclass
from typing import Any

from tellapart import store
from tellapart.bundle import BundleInfo
from tellapart.errors import TellapartError, UsageError
from tellapart.store import StoredModel
from tellapart.wire import ModelSummary
from webui.catalog import Classifier
from webui.parts import parts


@dataclass(frozen=True)
class Version:
    """A version as the service lists it, with what its files say where they are on this machine."""

    summary: ModelSummary
    info: BundleInfo | None

    @property
    def mode(self) -> str:
        """What learned: "head" or "finetune", "" where that is not known."""
        return str(self.info.training.get("mode") or "") if self.info else ""

    def figure(self, name: str) -> Any:
        """One of the report's numbers, None where it is not known."""
        return self.info.metrics.get(name) if self.info else None


def versions_of(classifier: Classifier) -> list[Version]:
    """The versions of a classifier, newest first."""
    stored = _stored(classifier.name)
    return [Version(m, stored[m.model].info if m.model in stored else None) for m in classifier.versions]


def stored_version(tag: str) -> StoredModel | None:
    """A version in the model store of this machine, None where it is not there."""
    return _stored(tag.partition(":")[0]).get(tag)


def previous(name: str) -> str | None:
    """The tag that rolling back would let answer again, None where there is none on this machine."""
    try:
        return store.previous(name)
    except TellapartError:
        return None


def promote(tag: str) -> None:
    """Let a version answer; servers on this machine follow within two seconds."""
    store.promote(tag)
    parts().catalog.forget()


def roll_back(name: str) -> str:
    """Let the version that answered before answer again; gives its tag.

    Raises:
        UsageError: there is none.
    """
    if previous(name) is None:
        raise UsageError(f"no earlier version of {name} was promoted", "Choose one in the list and let it answer")
    tag = store.rollback(name).tag
    parts().catalog.forget()
    return tag


def delete(classifier: Classifier, tag: str) -> None:
    """Delete a version and what was derived from it; with the last one goes what people said about its answers.

    Raises:
        UsageError: it is the one that answers, and there are others.
    """
    if tag == classifier.current.model and len(classifier.versions) > 1:
        raise UsageError(f"{tag} is the version that answers", "Let another one answer first")
    store.delete(tag)
    parts().exports.forget(tag)
    if len(classifier.versions) == 1:
        parts().feedback.forget(classifier.name)
    parts().catalog.forget()


def _stored(name: str) -> dict[str, StoredModel]:
    try:
        return {m.tag: m for m in store.list_models(name)}
    except TellapartError:
        return {}
