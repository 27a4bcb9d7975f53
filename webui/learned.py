"""The pictures a classifier learned from, as far as its data set is on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tellapart.dataset import Dataset
from tellapart.errors import TellapartError
from tellapart.learned import trained_on
from tellapart.manifest import Attempt
from tellapart.pictures import Status
from tellapart.public import public_author
from tellapart.store import resolve
from tellapart.wire import NeighbourList
from webui.parts import parts
from webui.thumbnails import thumbnail


@dataclass(frozen=True)
class LearnedPicture:
    """A picture it learned from, its class, how alike it is (cosine), and whom to name; `here` if it can be shown."""

    tag: str
    sha256: str
    class_name: str
    similarity: float
    credit: str = ""
    license: str = ""
    page_url: str = ""
    here: bool = False


def dataset_of(tag: str) -> Dataset | None:
    """The data set a version was trained on, None where it, or the version, is not on this machine."""
    try:
        return trained_on(resolve(tag).info, parts().settings)
    except TellapartError:
        return None


def learned_pictures(found: NeighbourList) -> list[LearnedPicture]:
    """What the service found, with the credit the data set has for each."""
    dataset = dataset_of(found.model)
    pictures = []
    for n in found.neighbours:
        attempt = _find(dataset, n.sha256)
        plain = LearnedPicture(found.model, n.sha256, n.class_name, n.similarity)
        pictures.append(_credited(plain, attempt) if attempt else plain)
    return pictures


def learned_thumbnail(tag: str, sha256: str) -> Path | None:
    """A small copy of a picture that a version learned from, None where it is not here."""
    dataset = dataset_of(tag)
    attempt = _find(dataset, sha256)
    try:
        return thumbnail(dataset, attempt) if dataset and attempt else None
    except TellapartError:
        return None


def _find(dataset: Dataset | None, sha256: str) -> Attempt | None:
    attempts: Iterable[Attempt] = dataset.manifest.with_digest(sha256) if dataset else ()
    return next((a for a in attempts if a.status == Status.KEPT), None)


def _credited(picture: LearnedPicture, attempt: Attempt) -> LearnedPicture:
    page = attempt.page_url if attempt.page_url.startswith(("https://", "http://")) else ""
    return LearnedPicture(
        picture.tag,
        picture.sha256,
        picture.class_name,
        picture.similarity,
        attempt.attribution or public_author(attempt.source, attempt.author),
        attempt.license,
        page,
        here=True,
    )
