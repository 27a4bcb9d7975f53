"""What a suspect is, how the manifest's `flags` say it, and which pictures a search has seen.

A flag is JSON with kind, score, reason, action, to, confident.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tellapart.actions import kept_by_hand
from tellapart.dataset import Dataset
from tellapart.files import write_json
from tellapart.manifest import Attempt

KINDS = ("off_topic", "label_error", "low_quality")


@dataclass(frozen=True)
class Suspect:
    """A picture that is probably wrong where it stands.

    Attributes:
        sha256, class_slug: which picture, and the class it stands in.
        kind: "off_topic", "label_error" or "low_quality".
        score: in [0, 1], comparable within a kind.
        reason: in plain words.
        action: what is suggested: "remove", "move" (to `suggested_slug`) or "look".
        suggested_slug: the class it looks like, "" for none.
        confident: whether it may be acted upon without looking.
    """

    sha256: str
    class_slug: str
    kind: str
    score: float
    reason: str
    action: str
    suggested_slug: str = ""
    confident: bool = False

    def to_json(self) -> dict[str, object]:
        """The compact form kept in the manifest, beside its picture and class."""
        return {
            "kind": self.kind,
            "score": round(self.score, 3),
            "reason": self.reason,
            "action": self.action,
            "to": self.suggested_slug,
            "confident": self.confident,
        }


def in_order(suspects: Iterable[Suspect]) -> list[Suspect]:
    """Those of one kind together, highest score first."""
    return sorted(suspects, key=lambda s: (KINDS.index(s.kind), -s.score, s.sha256))


def to_flags(suspects: Iterable[Suspect]) -> dict[str, str]:
    """What the manifest's `flags` says of each suspect, by sha256."""
    return {s.sha256: json.dumps(s.to_json(), separators=(",", ":"), ensure_ascii=False) for s in suspects}


def from_flags(attempts: Iterable[Attempt]) -> list[Suspect]:
    """The suspects that `flags` of kept attempts speak of, in order."""
    found = [_from_flag(a.sha256, a.class_slug, json.loads(a.flags)) for a in attempts if a.flags]
    return in_order(found)


def almost_certain(dataset: Dataset) -> set[tuple[str, str]]:
    """(class slug, sha256) of the kept pictures flagged as almost certainly wrong that no person kept by hand."""
    flagged = from_flags(dataset.manifest.kept())
    return {(s.class_slug, s.sha256) for s in flagged if s.confident} - kept_by_hand(dataset)


def store_flags(
    dataset: Dataset, suspects: Iterable[Suspect], searched: Iterable[tuple[str, str]] | None = None
) -> list[Suspect]:
    """Write what a search found: the flags of the suspects, and none for the other pictures that it looked at.

    What came, went, or was kept by a person while it looked is left as it is.

    Args:
        searched: (class slug, sha256) of the pictures it looked at; None for all kept ones.

    Returns:
        the suspects that were written.

    Raises:
        TellapartError: the manifest cannot be written.
    """
    with dataset.deciding():
        standing = {(a.class_slug, a.sha256) for a in dataset.manifest.kept()}
        looked_at = standing if searched is None else standing.intersection(searched)
        wanted = looked_at - kept_by_hand(dataset)
        written = in_order(s for s in suspects if (s.class_slug, s.sha256) in wanted)
        dataset.manifest.assign("flags", {sha256: "" for _, sha256 in looked_at} | to_flags(written))
    return written


def is_searched(dataset: Dataset) -> bool:
    """Whether every kept picture was there at a search for suspects; without the cache, none was."""
    try:
        seen = set(json.loads(_seen_file(dataset).read_text()))
    except (OSError, ValueError, TypeError):
        return False
    return all(a.sha256 in seen for a in dataset.manifest.kept())


def remember_search(dataset: Dataset, digests: Iterable[str]) -> None:
    """Write down the pictures, by sha256, that were there at a search whose flags are stored."""
    write_json(_seen_file(dataset), sorted(set(digests)))


def _seen_file(dataset: Dataset) -> Path:
    return dataset.cache / "searched.json"


def _from_flag(sha256: str, class_slug: str, flag: Mapping[str, Any]) -> Suspect:
    values = {name: flag[name] for name in ("kind", "score", "reason", "action", "confident")}
    return Suspect(sha256, class_slug, suggested_slug=flag["to"], **values)
