"""A data set as a zip archive, streamed: pictures, the record of every attempt, and who is to be named.

    images/<class slug>/<sha256>.<ext>    the kept pictures without their metadata; the name is of the bytes as fetched
    manifest.csv                          every attempt, kept or not; `file` is its place in the archive
    ATTRIBUTION.csv                       every picture in the archive with its author, licence and page

Unpacked, `images` is a plain folder of class folders. Names inside are made of digests and slugs alone,
paths of the machine it comes from are left out, and the same data set gives the same bytes.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import IO, TextIO

from tellapart.csvs import write_table
from tellapart.dataset import Dataset
from tellapart.images import DEFAULT_LIMITS, ImageError, sha256
from tellapart.manifest import Attempt
from tellapart.metadata import without_metadata
from tellapart.names import slugify
from tellapart.pictures import Status
from tellapart.progress import Report, Stage, silent
from tellapart.public import public_author, public_source

_CREDIT = ("author", "license", "license_url", "attribution", "source", "page_url", "url")


@dataclass(frozen=True)
class ZipSummary:
    """What went into an archive.

    Attributes:
        pictures: files under images/.
        missing: kept pictures that are gone or changed, and so are not in it.
    """

    pictures: int
    missing: int


def write_zip(dataset: Dataset, file: IO[bytes], report: Report = silent) -> ZipSummary:
    """Write a data set as a zip archive to a file object, which need not be seekable.

    One picture is in memory at a time.
    """
    with zipfile.ZipFile(file, "w") as archive:
        return add_dataset(archive, dataset, "", report)


def add_dataset(archive: zipfile.ZipFile, dataset: Dataset, prefix: str, report: Report = silent) -> ZipSummary:
    """Write a data set into an open archive, under `prefix` ("" or a folder that ends in a slash)."""
    attempts = dataset.manifest.attempts()
    places = _add_pictures(archive, dataset, attempts, prefix, report)
    kept = [a for a in attempts if a.status == Status.KEPT]
    with text_member(archive, f"{prefix}manifest.csv") as file:
        columns = [f.name for f in fields(Attempt)]
        write_table(file, ["file", *columns], ([_place(places, a), *_shared(a).values()] for a in attempts))
    with text_member(archive, f"{prefix}ATTRIBUTION.csv") as file:
        write_table(file, ["file", "class", *_CREDIT], _credits(dataset, kept, places))
    return ZipSummary(len(set(places.values())), sum(_place(places, a) == "" for a in kept))


@contextmanager
def text_member(archive: zipfile.ZipFile, name: str) -> Iterator[TextIO]:
    """A text file inside an archive, written as it comes."""
    with (
        archive.open(member(name, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as raw,
        io.TextIOWrapper(raw, "utf-8", newline="") as text,
    ):
        yield text


def member(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    """An archive's entry with a fixed date, so that equal content gives equal bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    return info


_Places = dict[tuple[str, str], str]


def _add_pictures(
    archive: zipfile.ZipFile, dataset: Dataset, attempts: Iterable[Attempt], prefix: str, report: Report
) -> _Places:
    """Write the kept pictures, each file once; (class slug, sha256) -> place, for those that are there."""
    slugs = {c.slug for c in dataset.classes}
    wanted = {
        (a.class_slug, a.sha256): a for a in attempts if a.status == Status.KEPT and a.sha256 and a.class_slug in slugs
    }
    places: _Places = {}
    with Stage(report, "pack pictures", total=len(wanted)) as stage:
        for key, attempt in wanted.items():
            data = _bytes(dataset, attempt)
            if data is not None:
                content, extension = data
                places[key] = f"images/{_folder(attempt.class_slug)}/{attempt.sha256}.{extension}"
                archive.writestr(member(prefix + places[key]), content)
            stage.advance(missing=int(data is None))
    return places


def _bytes(dataset: Dataset, attempt: Attempt) -> tuple[bytes, str] | None:
    """The picture as it is passed on, with its extension; None where it is gone or is another one by now."""
    try:
        with dataset.image_path(attempt).open("rb") as file:
            data = file.read(DEFAULT_LIMITS.max_bytes + 1)
        return without_metadata(data) if sha256(data) == attempt.sha256 else None
    except (OSError, ValueError, ImageError):
        return None


def _folder(slug: str) -> str:
    """The slug itself, made safe where a hand wrote something else into dataset.json."""
    return slugify(slug)


def _place(places: _Places, attempt: Attempt) -> str:
    return places.get((attempt.class_slug, attempt.sha256), "") if attempt.status == Status.KEPT else ""


def _credits(dataset: Dataset, kept: Iterable[Attempt], places: _Places) -> Iterator[list[str]]:
    names = {c.slug: c.name for c in dataset.classes}
    for attempt in kept:
        place = _place(places, attempt)
        if place:
            row = _shared(attempt)
            yield [place, names[attempt.class_slug], *(str(row[column]) for column in _CREDIT)]


def _shared(attempt: Attempt) -> dict[str, object]:
    """An attempt's columns without its people, and without its folders: of a local file only the name goes along."""
    shared = {name: public_source(v) if isinstance(v, str) else v for name, v in vars(attempt).items()}
    return shared | {"author": public_author(attempt.source, attempt.author)}
