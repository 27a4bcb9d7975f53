"""Pictures of one's own join a class of a data set: some files, or an archive of them."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from tellapart.archives import ArchiveError, open_archive
from tellapart.dataset import Dataset
from tellapart.errors import UsageError
from tellapart.images import sha256
from tellapart.listing import Wanted, count
from tellapart.manifest import Attempt, now
from tellapart.names import ClassName
from tellapart.pictures import Reason, Rejected, Status, inspect
from tellapart.wire import ServiceError
from webui.batches import PART, count_pictures, read_part
from webui.create_form import MOST_PICTURES
from webui.datasets import changing, find_dataset, job_on
from webui.errors import wants_json
from webui.formats import pictures
from webui.intake import as_file, read_uploads, sent_archive, shown_name
from webui.login import current_user
from webui.parts import parts

blueprint = Blueprint("own_pictures", __name__, url_prefix="/datasets/<name>")
SOURCE = "upload"
PATIENCE = 30.0  # seconds that one upload is worked on
_SHOWN, _NAME_LENGTH = 3, 40  # refused files that a message names, which has to fit into a cookie
Sent = Iterable[tuple[str, bytes | ArchiveError]]


@dataclass
class Tally:
    """What became of the pictures that came: names and reasons of the refused, how many there was no time for."""

    added: int = 0
    there: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    left: int = 0

    def words(self, class_name: str) -> str:
        """The same for people."""
        said = [f"{pictures(self.added)} added to {class_name}." if self.added else "No picture was added."]
        if self.there:
            said.append(f"{pictures(self.there)} it has or had already.")
        if self.refused:
            some = [f"{name[:_NAME_LENGTH]}: {why}" for name, why in self.refused[:_SHOWN]]
            more = f", and {len(self.refused) - _SHOWN} more" if len(self.refused) > _SHOWN else ""
            said.append(f"{pictures(len(self.refused))} could not be taken: {'; '.join(some)}{more}.")
        if self.left:
            said.append(f"There was no time for {self.left} more: send the archive again, and it goes on there.")
        return " ".join([*said, *(["Train again to let the classifier know."] if self.added else [])])


@blueprint.post("/uploads")
def add(name: str) -> AnyResponse:
    """Add the pictures in `images`, or of a zip archive there, to the class whose slug is `class`."""
    dataset = find_dataset(name, parts().settings)
    wanted = _class(dataset)
    if job_on(name, dataset):
        raise UsageError("a job is working on these pictures", "Wait for it, or stop it first")
    try:
        with _sent() as (sent, total):
            tally = _add_all(dataset, wanted, sent, total)
    except ArchiveError as error:
        raise ServiceError(error.code, str(error)) from error
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
    if count(dataset.manifest, Wanted()) >= MOST_PICTURES:
        raise UsageError(f"the data set has {MOST_PICTURES} pictures", "Take some out first")
    slug = request.form.get("class", "")
    found = next((c for c in dataset.classes if c.slug == slug), None)
    if found is None:
        raise ServiceError("wrong_field", "Choose the class that the pictures show")
    return found


@contextmanager
def _sent() -> Iterator[tuple[Sent, int]]:
    """What was sent, picture by picture, and how many there are."""
    archive = sent_archive()
    if archive is None:
        uploads = read_uploads()
        yield ((u.name, u.data) for u in uploads), len(uploads)
        return
    with as_file(archive, parts().settings) as path:
        total, _ = count_pictures(path)
        with open_archive(path) as opened:
            groups = (group for start in range(0, total, PART) for group in read_part(opened, start))
            yield ((shown_name(name), data) for group in groups for name, data in group), total


def _add_all(dataset: Dataset, wanted: ClassName, sent: Sent, total: int) -> Tally:
    """Take the pictures in for as long as there is time; what is known already costs little of it."""
    tally, end = Tally(), time.monotonic() + PATIENCE
    for number, (name, data) in enumerate(sent):
        if time.monotonic() > end:
            tally.left = total - number
            break
        try:
            if isinstance(data, ArchiveError):
                raise data
            added = _add(dataset, wanted.slug, data)
        except (ArchiveError, Rejected) as error:
            tally.refused.append((name, error.what))
        else:
            tally.added += added
            tally.there += not added
    return tally


def _add(dataset: Dataset, slug: str, data: bytes) -> bool:
    """Add a picture to a class, with a row that says who did; False where the class has or had it.

    Raises:
        Rejected: it cannot be used, as its row then says.
        NoDataError: the data set was deleted meanwhile.
    """
    digest = sha256(data)
    row = Attempt(
        url=f"{SOURCE}:{digest}",
        class_slug=slug,
        status=Status.REJECTED,
        reason=Reason.DUPLICATE,
        source=SOURCE,
        author=current_user() or "",
        fetched_at=now(),
        bytes=len(data),
    )
    with changing(dataset):
        manifest = dataset.manifest
        if manifest.has_bytes(slug, digest):
            known = {(a.class_slug, a.url) for a in manifest.with_digest(digest)}
            manifest.add([replace(row, sha256=digest)] if (slug, row.url) not in known else [])
            return False
        try:
            picture = inspect(data)
        except Rejected as error:
            manifest.add([replace(row, reason=error.reason, detail=error.what)])
            raise
        dataset.store(slug, picture, data)
        manifest.add([replace(row, status=Status.KEPT, reason=Reason.OK).with_picture(picture)])
    return True
