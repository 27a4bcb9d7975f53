"""What is sent in a picture's place: each kind of bytes, and what the manifest says of it."""

import asyncio
import io
import struct
import zlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from PIL import Image

from curation.curate import curate
from scraping.collect import collect
from scraping.intake import Intake
from scraping.source import Candidate
from tellapart.actions import apply, carry_out, undo
from tellapart.decisions import Action
from tellapart.images import sha256
from tellapart.pictures import Reason, Status
from tellapart.progress import silent
from tests.scraping.hostile.site import HostileSite, http

REJECTED, KEPT = Status.REJECTED, Status.KEPT
HTML = b"<!doctype html><html><body>Please log in</body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"><script>alert(1)</script></svg>'


def photo(mode: str = "RGB", size: tuple[int, int] = (96, 64), seed: int = 1) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC).convert(mode)


def saved(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_that_says(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(999))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", data) + part(b"IEND", b"")


def sixteen_bit() -> bytes:
    return saved(Image.fromarray(np.arange(96 * 64, dtype=np.uint16).reshape(64, 96) * 10), "PNG")


def animated(frames: int = 30) -> bytes:
    pictures = [photo(seed=n % 5) for n in range(frames)]
    return saved(pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=10)


def film(frames: int) -> bytes:
    """A GIF of so many frames of one pixel each."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 40, 40, 0x80, 0, 0) + bytes(3) + b"\xff" * 3 + frame * frames + b";"


def in_passes(count: int) -> bytes:
    """A progressive JPEG whose shortest pass comes so many times again."""
    head, *passes, last = saved(photo(), progressive=True).split(b"\xff\xda")
    return b"\xff\xda".join([head, *passes, *[min(passes, key=len)] * count, last])


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(photo(), exif=exif, comment=b"Ann's camera")


PICTURES: dict[str, tuple[Callable[[], bytes], str, Reason, Status, tuple[int, int] | None]] = {
    "html_as_jpeg": (lambda: HTML, "image/jpeg", Reason.NOT_AN_IMAGE, REJECTED, None),
    "json_as_png": (lambda: b'{"error": 1}', "image/png", Reason.NOT_AN_IMAGE, REJECTED, None),
    "jpeg_as_text": (lambda: saved(photo()), "text/plain", Reason.OK, KEPT, (96, 64)),
    "jpeg_as_html": (lambda: saved(photo()), "text/html", Reason.OK, KEPT, (96, 64)),
    "jpeg_without_type": (lambda: saved(photo()), "", Reason.OK, KEPT, (96, 64)),
    "truncated_jpeg": (lambda: saved(photo())[:-200], "image/jpeg", Reason.TRUNCATED, REJECTED, None),
    "truncated_header": (lambda: saved(photo())[:20], "image/jpeg", Reason.TRUNCATED, REJECTED, None),
    "bomb_header": (lambda: png_that_says(60_000, 60_000), "image/png", Reason.TOO_LARGE, REJECTED, None),
    "long_strip": (lambda: png_that_says(2_000_000_000, 1), "image/png", Reason.TOO_LARGE, REJECTED, None),
    "no_pixels": (lambda: png_that_says(96, 64), "image/png", Reason.TRUNCATED, REJECTED, None),
    "cmyk": (lambda: saved(photo("CMYK")), "image/jpeg", Reason.OK, KEPT, (96, 64)),
    "sixteen_bit": (sixteen_bit, "image/png", Reason.OK, KEPT, (96, 64)),
    "animated": (animated, "image/gif", Reason.OK, KEPT, (96, 64)),
    "endless_film": (lambda: film(1001), "image/gif", Reason.TOO_LARGE, REJECTED, None),
    "passes": (lambda: in_passes(100), "image/jpeg", Reason.OK, KEPT, (96, 64)),
    "endless_passes": (lambda: in_passes(1000), "image/jpeg", Reason.TOO_LARGE, REJECTED, None),
    "exif": (turned, "image/jpeg", Reason.OK, KEPT, (64, 96)),
    "svg_with_script": (lambda: SVG, "image/svg+xml", Reason.UNSUPPORTED_TYPE, REJECTED, None),
    "svg_as_png": (lambda: SVG, "image/png", Reason.UNSUPPORTED_TYPE, REJECTED, None),
    "zero_bytes": (lambda: b"", "image/jpeg", Reason.EMPTY, REJECTED, None),
    "one_pixel": (lambda: saved(photo(size=(1, 1)), "PNG"), "image/png", Reason.TOO_SMALL, REJECTED, None),
    "too_low": (lambda: saved(photo(size=(90, 31)), "PNG"), "image/png", Reason.TOO_SMALL, REJECTED, None),
    "least": (lambda: saved(photo(size=(32, 32)), "PNG"), "image/png", Reason.OK, KEPT, (32, 32)),
    "polyglot": (lambda: saved(photo()) + b"<script>alert(1)</script>", "text/html", Reason.OK, KEPT, (96, 64)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_sent_in_a_pictures_place_ends_in_its_reason(name, hostile, stranger):
    make, said, reason, status, size = PICTURES[name]
    body = make()
    hostile.behaviours[name] = http(body, "200 OK", *([f"Content-Type: {said}"] if said else []))
    (row,) = stranger.take(hostile.at(name))
    assert (row.reason, row.status) == (reason, status), row.detail
    if size:
        assert (row.width, row.height, row.sha256) == (*size, sha256(body))
        assert stranger.dataset.image_path(row).read_bytes() == body


NAMES = [
    "/../../../../etc/passwd.jpg",
    "/..%2f..%2f..%2fetc%2fcron.d%2fjob.jpg",
    "/a.jpg%00.exe",
    "/a%0d%0aSet-Cookie:%20a=b.jpg",
    "/%e2%80%aegpj.exe",
    "/" + "n" * 3000 + ".jpg",
    "/$(touch owned).jpg",
    "/-rf.jpg?a=<script>alert(1)</script>#../../x",
    "/CON.jpg",
    "/a.jpg;x=/../..",
    "/日本語 🐈.jpg",
]


def test_hostile_file_names_name_nothing_here(hostile, stranger, make_photo):
    for n in range(len(NAMES)):
        hostile.behaviours[f"names{n}"] = http(make_photo(n), "200 OK", 'Content-Disposition: x; filename="/etc/x.jpg"')
    rows = stranger.take(*(hostile.at(f"names{n}", name) for n, name in enumerate(NAMES)))
    assert {row.reason for row in rows} == {Reason.OK}
    stored = {path.relative_to(stranger.dataset.root).as_posix() for path in stranger.dataset.root.rglob("*.png")}
    assert stored == {f"images/cat/{row.sha256}.png" for row in rows}
    assert all(path.is_relative_to(stranger.dataset.root) for path in map(stranger.dataset.image_path, rows))


def serve(hostile: HostileSite, body: bytes, names: Iterable[str]) -> None:
    for name in names:
        hostile.behaviours[name] = http(body)


def reasons(stranger, class_name: str) -> list[tuple[Reason, Status]]:
    return [(row.reason, row.status) for row in stranger.dataset.manifest.attempts(class_name)]


def test_the_same_bytes_for_many_addresses_of_a_host_are_a_placeholder(hostile, stranger, make_photo):
    serve(hostile, make_photo(1), ["shop", "other"])
    first = [hostile.at("shop", f"/{n}.jpg") for n in range(2)]
    assert [row.reason for row in stranger.take(*first)] == [Reason.OK, Reason.DUPLICATE]
    stranger.take(hostile.at("shop", "/2.jpg"), hostile.at("shop", "/3.jpg"), class_name="dog")
    assert reasons(stranger, "cat") == [
        (Reason.PLACEHOLDER, Status.QUARANTINED),
        (Reason.PLACEHOLDER, Status.REJECTED),
    ]
    assert {reason for reason, _ in reasons(stranger, "dog")} == {Reason.PLACEHOLDER}
    assert stranger.dataset.manifest.kept() == []


@pytest.mark.parametrize("action", ["remove", "move"])
def test_taking_a_decision_back_keeps_no_placeholder(hostile, stranger, make_photo, action):
    serve(hostile, make_photo(6), ["undone"])
    (row,) = stranger.take(hostile.at("undone", "/0.jpg"))
    decision = Action(action, "cat", row.sha256, "dog" if action == "move" else "")
    apply(stranger.dataset, [decision])
    stranger.take(*(hostile.at("undone", f"/{n}.jpg") for n in range(1, 4)))
    carry_out(stranger.dataset)
    assert stranger.dataset.manifest.kept() == []
    undo(stranger.dataset)
    assert stranger.dataset.manifest.kept() == []
    assert {reason for reason, _ in reasons(stranger, "cat")} == {Reason.PLACEHOLDER}


def test_the_same_bytes_on_many_hosts_or_one_page_are_a_duplicate(hostile, stranger, make_photo):
    serve(hostile, make_photo(2), ["one", "two", "three", "page"])
    rows = stranger.take(*(hostile.at(name) for name in ("one", "two", "three")))
    assert [row.reason for row in rows] == [Reason.OK, Reason.DUPLICATE, Reason.DUPLICATE]
    serve(hostile, make_photo(3), ["page"])
    rows = [stranger.take(hostile.at("page", f"/{n}.jpg"), page_url="http://page.test/")[0] for n in range(4)]
    assert [row.reason for row in rows] == [Reason.OK] + [Reason.DUPLICATE] * 3


def test_a_class_is_filled_in_spite_of_placeholders(make_dataset, settings, list_source, make_photo, site):
    site_urls = [site.serve(f"/{n}.png", make_photo(9)) for n in range(5)]
    site_urls += [site.serve(f"/real{n}.png", make_photo(20 + n)) for n in range(6)]
    dogs = [site.serve(f"/dog{n}.png", make_photo(40 + n)) for n in range(4)]
    dataset = make_dataset("cat", "dog")
    summary = collect(dataset, [list_source({"cat": site_urls, "dog": dogs})], 4, settings, silent)
    assert summary.kept == {"cat": 4, "dog": 4}
    assert len(dataset.manifest.kept("cat")) == 4
    assert sha256(make_photo(9)) not in {row.sha256 for row in dataset.manifest.kept()}


def test_kept_counts_follow_placeholders_seen_by_another_class(hostile, stranger, make_photo):
    serve(hostile, make_photo(5), ["count"])
    cat, dog = stranger.dataset.classes

    async def run() -> tuple[int, int]:
        async with stranger.fetcher() as fetcher:
            with Intake(stranger.dataset, fetcher) as intake:
                for n, c in enumerate((dog, dog, cat)):
                    candidate = Candidate(hostile.at("count", f"/{n}.jpg"), "list", "", n)
                    row = await intake.take(intake.shelf(c), candidate, False)
                    intake.shelf(c).kept += row.status == Status.KEPT
                return intake.shelf(cat).kept, intake.shelf(dog).kept

    assert asyncio.run(run()) == (0, 0)


def test_the_same_picture_again_in_other_bytes_stays_one_group_or_is_set_aside(
    site, make_dataset, settings, list_source
):
    original = photo(size=(320, 240), seed=7)
    again = [
        saved(original, quality=95),
        saved(original, quality=60),
        saved(original, "PNG"),
        saved(original.resize((160, 120))),
    ]
    in_two = photo(size=(320, 240), seed=8)
    bodies = {
        "cat": [*again, saved(in_two, quality=95), *(saved(photo(seed=20 + n)) for n in range(4))],
        "dog": [saved(in_two, quality=60), *(saved(photo(seed=40 + n)) for n in range(4))],
    }
    addresses = {c: [site.serve(f"/{c}{n}", body) for n, body in enumerate(mine)] for c, mine in bodies.items()}
    dataset = make_dataset("cat", "dog")
    collect(dataset, [list_source(addresses)], 50, settings, silent)
    curate(dataset)
    rows = {row.url: row for row in dataset.manifest.attempts()}
    copies = [rows[url] for url in addresses["cat"][:4]]
    assert len({row.group_id for row in copies}) == len({row.split for row in copies}) == 1
    assert {row.status for row in copies} == {Status.KEPT}
    both = [rows[addresses["cat"][4]], rows[addresses["dog"][0]]]
    assert [(row.reason, row.status) for row in both] == [(Reason.CONFLICT, Status.QUARANTINED)] * 2
