"""Saying in one line why classes ended without a picture."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tellapart.errors import SourceError
from tellapart.manifest import Manifest
from tellapart.names import ClassName
from tellapart.pictures import REASON_TEXT

_NAMED = 5


def refuse_empty_classes(empty: Mapping[ClassName, Sequence[SourceError]], manifest: Manifest) -> None:
    """Refuse classes without a picture, those with the same cause together.

    Args:
        empty: the classes, each with what its sources failed with.
        manifest: of the data set; it knows whether pictures were found and why they were turned away.

    Raises:
        SourceError: there is such a class; it names classes, sources and the stage that left them empty.
    """
    causes: dict[str, list[str]] = {}
    for class_name, failures in empty.items():
        causes.setdefault(_cause(class_name, failures, manifest), []).append(repr(class_name.name))
    if causes:
        what = "; ".join(f"no pictures for {_listed(names)}: {cause}" for cause, names in list(causes.items())[:_NAMED])
        more = f"; and {len(causes) - _NAMED} more causes" if len(causes) > _NAMED else ""
        raise SourceError(what + more, _fix(empty))


def _cause(class_name: ClassName, failures: Sequence[SourceError], manifest: Manifest) -> str:
    """What a class failed at: each source's own words, and what became of what was found."""
    said = [failure.what for failure in failures]
    attempts = manifest.attempts(class_name.slug)
    if attempts:
        reason, times = Counter(a.reason for a in attempts).most_common(1)[0]
        sources = ", ".join(sorted({a.source for a in attempts}))
        said.append(f"{len(attempts)} found by {sources}, none usable, mostly: {REASON_TEXT[reason]} ({times})")
    return " and ".join(said) or "the sources had nothing"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _fix(empty: Mapping[ClassName, Sequence[SourceError]]) -> str:
    fixes = {failure.fix: None for failures in empty.values() for failure in failures if failure.fix}
    return next(iter(fixes), "Use other words for the class, or another source")
