"""Pictures to pass on: the same pixels, upright as before, and nothing of what was written beside them."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tellapart.images import ImageError, decode
from tellapart.metadata import without_metadata

SECRET = b"my address"
COPIED = ("JPEG", "PNG", "WEBP")


@pytest.fixture
def telling(make_photo: Callable[..., bytes], to_bytes: Callable[..., bytes]) -> Callable[..., bytes]:
    """A picture that says where it was taken in all the ways its type has, turned on its side."""

    def make(kind: str, **options: Any) -> bytes:
        exif = Image.Exif()
        exif[0x010E], exif[0x0112] = SECRET.decode(), 6
        exif.get_ifd(0x8825)[1] = "N"
        words = PngImagePlugin.PngInfo()
        words.add_text("Comment", SECRET.decode())
        own: dict[str, Any] = {
            "JPEG": {"exif": exif, "comment": SECRET, "xmp": SECRET},
            "PNG": {"exif": exif, "pnginfo": words},
            "WEBP": {"exif": exif, "xmp": SECRET},
            "GIF": {"comment": SECRET},
            "TIFF": {"exif": exif},
            "AVIF": {"exif": exif, "xmp": SECRET},
            "HEIF": {"exif": exif.tobytes()},
        }
        return to_bytes(Image.open(io.BytesIO(make_photo(3, (90, 60)))), kind, **own[kind] | options)

    return make


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF"])
def test_nothing_but_the_picture_goes_along(telling: Callable[..., bytes], kind: str) -> None:
    data = telling(kind)
    assert SECRET in data
    clean, extension = without_metadata(data)
    assert SECRET not in clean
    with Image.open(io.BytesIO(clean)) as image:
        assert dict(image.getexif()) == ({0x0112: 6} if kind in COPIED else {})
    assert extension == {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "png"}.get(kind, "jpg")
    before, after = (np.asarray(decode(picture)).astype(int) for picture in (data, clean))
    assert before.shape == after.shape == ((60, 90, 3) if kind == "GIF" else (90, 60, 3))
    assert abs(before - after).max() <= (0 if kind in (*COPIED, "GIF") else 40)


@pytest.mark.parametrize("kind", COPIED)
def test_colours_and_movement_stay(telling: Callable[..., bytes], kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    clean, _ = without_metadata(telling(kind, icc_profile=profile))
    assert Image.open(io.BytesIO(clean)).info["icc_profile"] == profile
    if kind != "JPEG":
        moving = telling(kind, save_all=True, append_images=[Image.new("RGB", (90, 60))])
        with Image.open(io.BytesIO(without_metadata(moving)[0])) as image:
            assert image.n_frames == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}])
def test_every_kind_of_jpeg_keeps_its_pixels(telling: Callable[..., bytes], options: dict[str, Any]) -> None:
    data = telling("JPEG", **options)
    clean, _ = without_metadata(data)
    assert np.array_equal(decode(clean), decode(data))


@pytest.mark.parametrize("kind", COPIED)
def test_what_comes_behind_the_picture_is_left_out(telling: Callable[..., bytes], kind: str) -> None:
    data = telling(kind)
    assert without_metadata(data + b"\xff\xd8\xff\xe1 film, " + SECRET) == without_metadata(data)


@pytest.mark.parametrize("kind", COPIED)
def test_a_picture_without_metadata_stays_the_same_bytes(make_photo: Callable[..., bytes], kind: str) -> None:
    data = make_photo(1, format=kind)
    assert without_metadata(data)[0] == data


def test_a_preview_inside_the_header_is_left_out(make_photo: Callable[..., bytes]) -> None:
    data = make_photo(1, format="JPEG")
    preview = b"\xff\xe0" + struct.pack(">H", 7 + len(SECRET)) + b"JFXX\0" + SECRET
    assert without_metadata(data[:2] + preview + data[2:])[0] == data


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ImageError):
        without_metadata(b"words")
