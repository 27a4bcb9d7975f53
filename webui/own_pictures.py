"""Pictures of one's own join a class of a data set: some files, or an archive of them."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.archives import ArchiveError, open_archive
from tellapart.crashes import Apart, Stopped
from tellapart.dataset import Dataset
from tellapart.errors import Busy, UsageError
from tellapart.images import sha256
from tellapart.listing import Wanted, count
from tellapart.manifest import Attempt, Manifest, now
from tellapart.names import ClassName
from tellapart.pictures import Picture, Reason, Rejected, Status
from tellapart.public import UPLOAD
from tellapart.wire import ServiceError
from tellapart.wording import counted
from webui.batches import PART, count_pictures, read_part
from webui.create_form import MOST_PICTURES
from webui.datasets import changing, find_dataset, refuse_at_work, refuse_deleted
from webui.decoding import decoding
from webui.errors import wants_json
from webui.formats import pictures
from webui.intake import as_file, read_pictures, sent_archive, shown_name
from webui.login import current_user
from webui.parts import parts
from webui.secret import pseudonym

blueprint = Blueprint("own_pictures", __name__, url_prefix="/datasets/<name>")
PATIENCE = 30.0  # seconds that one upload is worked on
_REASONS, _NAMES, _NAME_LENGTH, _WHY_LENGTH = 3, 2, 40, 120  # in a message, which has to fit into a cookie
_NO_TIME = "there was no time for more. Send the same again, and it goes on there"
_RECOUNT = 32  # pictures added, after which what others added meanwhile is counted too
Sent = Iterable[tuple[str, bytes | ArchiveError]]


@dataclass
class Tally:
    """What became of the pictures that came: names and reasons of the refused; how many were left, and why."""

    added: int = 0
    there: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    left: int = 0
    why_left: str = ""

    def words(self, class_name: str) -> str:
        """The same for people."""
        said = [f"{pictures(self.added)} added to {class_name}." if self.added else "No picture was added."]
        if self.there:
            said.append(f"{pictures(self.there)} it has or had already.")
        if self.refused:
            said.append(f"{counted(len(self.refused), 'file')} could not be taken: {self._reasons()}.")
        if self.left:
            said.append(f"{pictures(self.left)} left: {self.why_left}.")
        return " ".join([*said, *(["Train again to let the classifier know."] if self.added else [])])

    def _reasons(self) -> str:
        """Why files were refused, how many for each reason, and some of their names."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for name, why in self.refused:
            names[why].append(name[:_NAME_LENGTH])
        often = sorted(names.items(), key=lambda reason: -len(reason[1]))
        said = [f"{len(those)} × {why[:_WHY_LENGTH]} ({_some(those)})" for why, those in often[:_REASONS]]
        others = sum(len(those) for _, those in often[_REASONS:])
        return "; ".join([*said, *([f"{others} for other reasons"] if others else [])])


@blueprint.post("/uploads")
def add(name: str) -> AnyResponse:
    """Add the pictures in `images`, or of a zip archive there, to the class whose slug is `class`."""
    dataset = find_dataset(name, parts().settings)
    try:
        wanted = _class(dataset)
        refuse_at_work(name, dataset)
        with _sent() as (sent, total), decoding() as apart:
            tally = _add_all(name, dataset, wanted, sent, total, apart)
    except (ServiceError, UsageError, Busy) as error:
        if wants_json():
            raise
        flash(f"No picture was added: {error}.")
        return redirect(url_for("review.show", name=name), 303)
    if wants_json():
        refused = [{"name": name, "message": why} for name, why in tally.refused]
        return jsonify({"added": tally.added, "there": tally.there, "refused": refused, "left": tally.left})
    flash(tally.words(wanted.name))
    where: dict[str, Any] = {"class": wanted.slug}
    return redirect(url_for("review.show", name=name, order="newest", **where), 303)


def _class(dataset: Dataset) -> ClassName:
    """The class that is to get the pictures.

    Raises:
        UsageError: the data set can take none.
        ServiceError: it has no such class.
    """
    if dataset.folder is not None:
        raise UsageError("the pictures are in a folder of your own", f"Put more into {dataset.folder.name}/ yourself")
    _refuse_full(_room(dataset.manifest))
    slug = request.form.get("class", "")
    found = next((c for c in dataset.classes if c.slug == slug), None)
    if found is None:
        raise ServiceError("wrong_field", "Choose the class that the pictures show")
    return found


def _room(manifest: Manifest) -> int:
    """How many more pictures a data set takes."""
    return MOST_PICTURES - count(manifest, Wanted())


def _refuse_full(room: int) -> None:
    if room <= 0:
        raise UsageError(f"the data set has {MOST_PICTURES} pictures", "Take some out first")


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def _sent() -> Iterator[tuple[Sent, int]]:
    """What was sent, picture by picture, and how many there are.

    Raises:
        ServiceError: nothing that can be used.
    """
    archive = sent_archive()
    if archive is None:
        uploads = read_pictures()
        yield ((u.name, u.data) for u in uploads), len(uploads)
        return
    with as_file(archive, parts().settings) as path:
        try:
            total, _ = count_pictures(path)
        except ArchiveError as error:
            raise ServiceError(error.code, str(error)) from error
        with open_archive(path) as opened:
            groups = (group for start in range(0, total, PART) for group in read_part(opened, start))
            yield ((shown_name(name), data) for group in groups for name, data in group), total


def _add_all(name: str, dataset: Dataset, wanted: ClassName, sent: Sent, total: int, apart: Apart) -> Tally:
    """Take the pictures in for as long as there is time; what came before costs little of it."""
    tally, end = Tally(), time.monotonic() + PATIENCE
    refuse_deleted(dataset)
    with dataset.manifest.held_open() as manifest:
        door = _Door(name, dataset, manifest, wanted.slug, apart)
        for number, (file, data) in enumerate(sent):
            if time.monotonic() > end:
                tally.left, tally.why_left = total - number, _NO_TIME
                break
            try:
                if isinstance(data, ArchiveError):
                    raise data
                added = door.add(data)
            except (ArchiveError, Rejected) as error:
                tally.refused.append((file, error.what))
            except (UsageError, Busy, Stopped) as error:
                tally.left, tally.why_left = total - number, str(error)
                break
            else:
                tally.added += added
                tally.there += not added
    return tally


class _Door:
    """The way into one class of a data set; it knows again what was refused there before."""

    def __init__(self, name: str, dataset: Dataset, manifest: Manifest, slug: str, apart: Apart) -> None:
        self._name, self._dataset, self._manifest, self._slug = name, dataset, manifest, slug
        self._apart, self._room = apart, _room(manifest)
        user = current_user()
        self._person = pseudonym(parts().settings.home, user) if user else ""
        rejected = manifest.attempts(slug, Status.REJECTED)
        self._refused = {a.url: a for a in rejected if a.source == UPLOAD and a.reason != Reason.DUPLICATE}

    def add(self, data: bytes) -> bool:
        """Add a picture, with a row that says who did; False where the class has or had it.

        It is decoded before its turn, so that who decides about the data set meanwhile does not wait for that.

        Raises:
            Rejected: it cannot be used, as its row says.
            UsageError: a job began to work on the data set meanwhile, or it is full.
            NoDataError: the data set was deleted meanwhile.
        """
        row = self._row(data)
        there = [a for a in self._manifest.with_digest(row.sha256) if a.class_slug == self._slug]
        if any(a.reason != Reason.DUPLICATE for a in there):
            if row.url not in {a.url for a in there}:
                self._write(row)
            return False
        refuse_at_work(self._name, self._dataset)
        _refuse_full(self._room)
        picture = self._inspect(row, data)
        with changing(self._dataset):
            if self._manifest.has_bytes(self._slug, row.sha256):  # another upload was quicker
                return False
            self._dataset.store(self._slug, picture, data)
            self._manifest.add([replace(row, status=Status.KEPT, reason=Reason.OK).with_picture(picture)])
        self._room -= 1
        if self._room % _RECOUNT == 0:
            self._room = _room(self._manifest)
        return True

    def _inspect(self, row: Attempt, data: bytes) -> Picture:
        if before := self._refused.get(row.url):
            raise Rejected(before.reason, before.detail)
        try:
            return self._apart.inspect(data)
        except Rejected as error:
            self._write(replace(row, reason=error.reason, detail=error.what, sha256=""))
            raise

    def _row(self, data: bytes) -> Attempt:
        """That of a picture which the class has already."""
        digest = sha256(data)
        return Attempt(
            url=f"{UPLOAD}:{digest}",
            class_slug=self._slug,
            status=Status.REJECTED,
            reason=Reason.DUPLICATE,
            source=UPLOAD,
            author=self._person,
            fetched_at=now(),
            bytes=len(data),
            sha256=digest,
        )

    def _write(self, row: Attempt) -> None:
        with changing(self._dataset):
            self._manifest.add([row])
