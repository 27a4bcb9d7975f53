"""A data set: a folder with its description, its manifest and its pictures.

DATASET/dataset.json         name, ordered classes, sources asked, created, format version
        manifest.sqlite      see `manifest`
        images/<slug>/<sha256>.<ext>
        cache/               derived; may be deleted at any time
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from tellapart.decisions import Decisions, in_force
from tellapart.errors import Busy, DataError, NoDataError, TellapartError
from tellapart.files import held, readable_disk_errors, write_bytes, write_json
from tellapart.manifest import Attempt, Manifest, now
from tellapart.names import ClassName
from tellapart.pictures import Picture, Reason, Status

FORMAT = 1
FOLDERS = "folders"  # name of the folder, in the home, of what is known of plain folders
PATIENCE = 60.0  # seconds to wait for another program that decides about the pictures
STRANGERS = "none"  # name of the folder of pictures that show none of the classes


class Role(Enum):
    """What a picture may do in a training: teach the classifier, judge it, or either."""

    BOTH = "both"
    LEARN = "learn"
    JUDGE = "judge"


@dataclass(frozen=True)
class Sample:
    """A picture as training sees it: where it is, its class index, split and group, and what it may do."""

    path: Path
    class_index: int
    sha256: str
    split: str
    group_id: str
    role: Role = Role.BOTH


@dataclass(frozen=True)
class Dataset:
    """An opened data set; `create` and `open` make one.

    Attributes:
        root: the folder with dataset.json.
        name: what people call it.
        classes: in the order that gives class indices.
        sources: names of the sources asked, in order.
        folder: the plain folder of class folders it stands for, None for a folder of our own format.
        created: when, ISO 8601 in UTC.
    """

    root: Path
    name: str
    classes: tuple[ClassName, ...]
    sources: tuple[str, ...]
    folder: Path | None = None
    created: str = field(default_factory=now, compare=False)

    @staticmethod
    def create(
        root: Path, name: str, classes: Sequence[ClassName], sources: Sequence[str], folder: Path | None = None
    ) -> "Dataset":
        """Make a data set, or open the one that is there, adding classes and sources that are new to it.

        Classes keep their order, new ones come last; none is ever taken away here.
        """
        with readable_disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
        with Dataset(root, name, (), ()).deciding():
            old = Dataset.open(root) if (root / "dataset.json").exists() else Dataset(root, name, (), ())
            known = {c.slug for c in old.classes}
            merged = old.classes + tuple(c for c in classes if c.slug not in known)
            asked = tuple(dict.fromkeys([*old.sources, *sources]))
            dataset = Dataset(root, old.name, merged, asked, folder, old.created)
            if dataset != old:
                dataset.save()
        return dataset

    @staticmethod
    def open(root: Path) -> "Dataset":
        """Open a folder of our own format.

        Raises:
            NoDataError: there is none.
            DataError: dataset.json is unreadable or of a newer format.
        """
        path = root / "dataset.json"
        try:
            value = json.loads(path.read_text())
            if value["format"] != FORMAT:
                raise DataError(f"{path} has format {value['format']}, this program reads {FORMAT}", "Update it")
            classes = tuple(ClassName(c["name"], c["slug"]) for c in value["classes"])
            folder = Path(value["folder"]) if value.get("folder") else None
            return Dataset(root, value["name"], classes, tuple(value["sources"]), folder, value["created"])
        except FileNotFoundError:
            raise NoDataError(f"there is no data set in {root}", "Make one with: tellapart create") from None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is not readable: {error}", "Restore it or start a new data set") from error

    def save(self) -> None:
        """Write dataset.json, whole or not at all."""
        write_json(self.root / "dataset.json", self._to_json())

    @property
    def manifest(self) -> Manifest:
        """The record of every attempt."""
        return Manifest(self.root / "manifest.sqlite")

    @property
    def cache(self) -> Path:
        """Folder of derived data, which may be deleted; that of a plain folder lies with the home's caches."""
        if self.root.parent.name != FOLDERS:
            return self.root / "cache"
        return self.root.parent.parent / "cache" / FOLDERS / self.root.name / "cache"

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Read what is known of the pictures and write what is made of it, and nobody else decides meanwhile.

        Collecting goes on beside it. Who decides must not ask again, and must not take long.

        Raises:
            Busy: another program takes longer.
            TellapartError: the folder is gone.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(held(self.root, PATIENCE))
            except BlockingIOError:
                what = f"another program is deciding about the pictures of {self.name}"
                raise Busy(what, "Try again in a moment") from None
            except OSError as error:
                raise TellapartError(f"{self.root} cannot be used: {error.strerror}", "Check the folder") from error
            yield

    def store(self, class_slug: str, picture: Picture, data: bytes) -> None:
        """Write a picture's bytes, whole or not at all; the manifest row is the caller's.

        They survive the end of the process; a power cut may cost the pictures of the last half minute.
        """
        path = self.root / "images" / class_slug / f"{picture.sha256}.{picture.extension}"
        if not path.exists() or path.stat().st_size != picture.bytes:
            write_bytes(path, data, durable=False)

    def image_path(self, attempt: Attempt) -> Path:
        """Where the bytes of a kept attempt are."""
        if self.folder is not None:
            return Path(os.fsdecode(unquote_to_bytes(urlsplit(attempt.url).path)))
        return self.root / "images" / attempt.class_slug / f"{attempt.sha256}.{attempt.extension}"

    def samples(self, attempts: Iterable[Attempt] | None = None) -> list[Sample]:
        """The kept pictures with their class indices, in the manifest's order."""
        index = {c.slug: i for i, c in enumerate(self.classes)}
        kept = self.manifest.kept() if attempts is None else attempts
        return [
            Sample(self.image_path(a), index[a.class_slug], a.sha256, a.split, a.group_id or a.sha256)
            for a in kept
            if a.class_slug in index
        ]

    def set_aside(self) -> list[Attempt]:
        """The pictures that only a machine took out of their class, one row each."""
        actions = in_force(Decisions(self.manifest).history())
        machine = {(a.class_slug, a.sha256) for a in actions if a.by == "curate" and a.action != "keep"}
        out = self.manifest.attempts(status=Status.QUARANTINED) if machine else []
        rows = {(a.class_slug, a.sha256): a for a in reversed(out) if a.reason in (Reason.REMOVED, Reason.MOVED)}
        return [rows[key] for key in sorted(machine & rows.keys())]

    def training_samples(self) -> list[Sample]:
        """The kept pictures and those set aside.

        A machine takes out what is hard more often than what is easy, so accuracy on the rest would flatter. What it
        took out teaches nothing, but judges, as it was collected, until a person decides; its copy in another
        class teaches only.
        """
        aside = self.set_aside()
        again = {a.sha256 for a in aside}
        kept = [replace(s, role=Role.LEARN) if s.sha256 in again else s for s in self.samples()]
        return kept + [replace(s, role=Role.JUDGE) for s in self.samples(aside)]

    def strangers(self) -> list[Sample]:
        """Pictures of none of the classes: the files of the folder `none` in the data set's or the plain folder.

        Their class index is -1. An unreadable file, a hidden one and a link are passed over.
        """
        folder = (self.folder or self.root) / STRANGERS
        files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and p.name[0] != ".")
        digests = [(path, digest) for path in files if (digest := _digest(path))]
        return [Sample(path, -1, digest, "", digest) for path, digest in digests]

    def digest(self) -> str:
        """Identity of what training sees: classes, pictures, splits and groups."""
        lines = [f"class {c.slug} {c.name}" for c in self.classes]
        lines += sorted(f"{s.class_index} {s.sha256} {s.split} {s.group_id}" for s in self.samples())
        lines += sorted(f"aside {a.class_slug} {a.sha256} {a.split} {a.group_id}" for a in self.set_aside())
        lines += sorted(f"stranger {s.sha256}" for s in self.strangers())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _to_json(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "name": self.name,
            "classes": [{"name": c.name, "slug": c.slug} for c in self.classes],
            "sources": list(self.sources),
            "folder": str(self.folder) if self.folder else None,
            "created": self.created,
        }


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def judging_split(splits: Iterable[str]) -> str | None:
    """The split that a classifier is measured on: test, else val; None where cross-validation measures."""
    there = set(splits)
    return next((name for name in ("test", "val") if name in there), None)
