"""A data set as an archive: what is in it, by hand, and what must never be."""

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tellapart.dataset import Dataset
from tellapart.dataset_zip import ZipSummary, write_zip
from tellapart.manifest import Attempt
from tellapart.names import ClassName, parse_class_names
from tellapart.pictures import Reason, Status, inspect

MakePicture = Callable[..., bytes]


class Pipe(io.RawIOBase):
    """A file object that can only be written to, as a web answer is."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


@pytest.fixture
def pets(tmp_path: Path, make_photo: MakePicture) -> Dataset:
    """Two cats (one of them found twice), a dog with hostile words, and two attempts that were not kept."""
    dataset = Dataset.create(tmp_path / "pets", "pets", parse_class_names(["cat", "=dog"]), ["urls:/home/ann/list.txt"])

    def add(slug: str, url: str, seed: int, **fields: Any) -> None:
        picture = inspect(make_photo(seed))
        dataset.store(slug, picture, make_photo(seed))
        dataset.manifest.add([Attempt(url, slug, Status.KEPT, Reason.OK, **fields).with_picture(picture)])

    add("cat", "https://a.example/1", 1, author="Ann", license="CC BY 4.0", license_url="https://l.example", rank=1)
    add("cat", "https://a.example/1-again", 1, rank=2)
    add("cat", "file:///home/ann/My%20cats/tom.png", 2, source="folder:/home/ann/My cats", rank=3)
    add("dog", "https://a.example/../../x", 3, author='=HYPERLINK("http://x")', attribution="+1", page_url="@p")
    dataset.manifest.add(
        [
            Attempt("https://a.example/gone", "cat", Status.FAILED, Reason.NOT_FOUND, detail="-status 404", rank=8),
            Attempt("https://a.example/taken", "cat", Status.QUARANTINED, Reason.CONFLICT, sha256="ab" * 32, rank=9),
        ]
    )
    return dataset


def packed(dataset: Dataset) -> tuple[zipfile.ZipFile, ZipSummary]:
    file = io.BytesIO()
    summary = write_zip(dataset, file)
    return zipfile.ZipFile(file), summary


def rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode())))


def test_the_archive_by_hand(pets: Dataset, make_photo: MakePicture) -> None:
    archive, summary = packed(pets)
    one, two, three = (inspect(make_photo(seed)).sha256 for seed in (1, 2, 3))
    assert summary == ZipSummary(pictures=3, missing=0)
    assert archive.namelist() == [
        f"images/cat/{one}.png",
        f"images/cat/{two}.png",
        f"images/dog/{three}.png",
        "manifest.csv",
        "ATTRIBUTION.csv",
    ]
    assert archive.read(f"images/cat/{one}.png") == make_photo(1)
    assert archive.getinfo(f"images/cat/{one}.png").compress_type == zipfile.ZIP_STORED
    manifest = rows(archive, "manifest.csv")
    assert [(r["file"], r["status"], r["reason"]) for r in manifest] == [
        (f"images/cat/{one}.png", "kept", "ok"),
        (f"images/cat/{one}.png", "kept", "ok"),
        (f"images/cat/{two}.png", "kept", "ok"),
        ("", "failed", "not_found"),
        ("", "quarantined", "conflict"),
        (f"images/dog/{three}.png", "kept", "ok"),
    ]
    named = rows(archive, "ATTRIBUTION.csv")
    assert [r["file"] for r in named] == [r["file"] for r in manifest if r["file"]]
    assert named[0] == {
        "file": f"images/cat/{one}.png",
        "class": "cat",
        "author": "Ann",
        "license": "CC BY 4.0",
        "license_url": "https://l.example",
        "attribution": "",
        "source": "",
        "page_url": "",
        "url": "https://a.example/1",
    }


def test_no_cell_is_a_formula(pets: Dataset) -> None:
    archive, _ = packed(pets)
    credit = rows(archive, "ATTRIBUTION.csv")[-1]
    assert credit["class"] == "'=dog"
    assert credit["author"] == '\'=HYPERLINK("http://x")'
    assert (credit["attribution"], credit["page_url"]) == ("'+1", "'@p")
    assert rows(archive, "manifest.csv")[3]["detail"] == "'-status 404"


def test_no_folder_of_this_machine_goes_along(pets: Dataset) -> None:
    archive, _ = packed(pets)
    text = b"".join(archive.read(name) for name in ("manifest.csv", "ATTRIBUTION.csv"))
    assert b"ann/" not in text
    assert b"/home" not in text
    assert rows(archive, "ATTRIBUTION.csv")[2]["url"] == "file:tom.png"
    assert rows(archive, "ATTRIBUTION.csv")[2]["source"] == "folder:My cats"


def test_who_put_pictures_in_on_the_page_is_not_named(pets: Dataset, make_photo: MakePicture) -> None:
    """Neither what stands for them, nor the login name that data sets of before have there."""
    for seed, author in ((4, "ann.login"), (5, "4f1c0e9a7b3d2a68")):
        picture = inspect(make_photo(seed))
        pets.store("cat", picture, make_photo(seed))
        row = Attempt(f"upload:{picture.sha256}", "cat", Status.KEPT, Reason.OK, source="upload", author=author)
        pets.manifest.add([row.with_picture(picture)])
    archive, summary = packed(pets)
    assert summary.pictures == 5
    text = b"".join(archive.read(name) for name in ("manifest.csv", "ATTRIBUTION.csv"))
    assert b"ann.login" not in text
    assert b"4f1c0e9a7b3d2a68" not in text
    assert [r["author"] for r in rows(archive, "ATTRIBUTION.csv") if r["source"] == "upload"] == ["", ""]
    assert b"Ann" in text, "authors are named all the same"


def test_what_is_gone_or_changed_is_left_out_and_counted(pets: Dataset) -> None:
    cat, *_, dog = pets.manifest.kept()
    pets.image_path(cat).write_bytes(b"something else")
    pets.image_path(dog).unlink()
    archive, summary = packed(pets)
    assert summary == ZipSummary(pictures=1, missing=3)  # the first cat stands in two rows
    assert len(rows(archive, "ATTRIBUTION.csv")) == 1
    assert [bool(r["file"]) for r in rows(archive, "manifest.csv")] == [False, False, True, False, False, False]


def test_names_that_lead_elsewhere_do_not(pets: Dataset, tmp_path: Path, make_photo: MakePicture) -> None:
    """A data set somebody else made: its slugs, digests and extensions are whatever they wrote."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(make_photo(9))
    evil = replace(pets, classes=(ClassName("cat", "../../cat"), ClassName("dog", "dog")))
    picture = inspect(make_photo(5))
    evil.store("../../cat", picture, make_photo(5))
    attempt = Attempt("u", "../../cat", Status.KEPT, Reason.OK).with_picture(picture)
    outside = Attempt("v", "dog", Status.KEPT, Reason.OK, sha256="../../../secret", extension="png")
    odd = replace(attempt, url="w", class_slug="dog", extension="../exe")
    evil.store("dog", replace(picture, extension="../exe"), make_photo(5))
    evil.manifest.add([attempt, outside, odd])
    archive, _ = packed(evil)
    names = archive.namelist()
    assert f"images/cat/{picture.sha256}.png" in names
    assert f"images/dog/{picture.sha256}.png" in names  # by what it is
    assert not any(".." in name or name.startswith("/") for name in names)
    assert make_photo(9) not in [archive.read(name) for name in names]


def test_a_picture_that_tells_where_it_was_taken_is_passed_on_without(pets: Dataset, make_photo: MakePicture) -> None:
    exif = Image.Exif()
    exif[0x010E] = "my address"
    data = make_photo(7, format="JPEG", exif=exif)
    picture = inspect(data)
    pets.store("cat", picture, data)
    pets.manifest.add([Attempt("u", "cat", Status.KEPT, Reason.OK).with_picture(picture)])
    archive, summary = packed(pets)
    passed_on = archive.read(f"images/cat/{picture.sha256}.jpg")
    assert summary.missing == 0
    assert b"my address" in data
    assert b"my address" not in passed_on
    assert not Image.open(io.BytesIO(passed_on)).getexif()
    assert pets.image_path(pets.manifest.with_digest(picture.sha256)[0]).read_bytes() == data


def test_it_is_streamed_and_the_same_each_time(pets: Dataset) -> None:
    first, second = Pipe(), Pipe()
    write_zip(pets, first)  # type: ignore[arg-type]
    write_zip(pets, second)  # type: ignore[arg-type]
    assert first.data == second.data
    with zipfile.ZipFile(io.BytesIO(first.data)) as archive:
        assert archive.testzip() is None
        assert len(rows(archive, "ATTRIBUTION.csv")) == 4
