import struct
import time
import zlib
from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from PIL import Image

from tellapart.images import SUPPORTED, ImageError, ImageFault, Limits, decode, probe, sha256


def pixel(data):
    image = decode(data)
    assert image.mode == "RGB"
    return image.getpixel((image.width // 2, image.height // 2))


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("LA", (0, 128), (127, 127, 127)),
        ("LA", (40, 255), (40, 40, 40)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("RGBA", (9, 9, 9, 0), (255, 255, 255)),
        ("I;16", 25700, (100, 100, 100)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 0, (0, 0, 0)),
    ],
)
def test_png_modes_become_known_rgb(make_picture, mode, color, expected):
    assert pixel(make_picture(color, mode=mode)) == expected


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [("CMYK", (0, 255, 255, 0), (255, 0, 0)), ("CMYK", (0, 0, 0, 255), (0, 0, 0)), ("I;16B", 25700, (100,) * 3)],
)
def test_tiff_modes_become_known_rgb(make_picture, mode, color, expected):
    assert pixel(make_picture(color, format="TIFF", mode=mode)) == expected


def test_a_cmyk_jpeg_keeps_its_colour(make_picture):
    assert pixel(make_picture((0, 255, 255, 0), format="JPEG", mode="CMYK")) == pytest.approx((255, 0, 0), abs=3)


def test_a_palette_with_a_transparent_entry_is_flattened_on_white(to_bytes):
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 255, 10, 20, 30])
    image.putdata([0, 1])
    decoded = decode(to_bytes(image, "PNG", transparency=0))
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (10, 20, 30)]


def test_an_rgb_picture_with_a_transparent_colour_is_flattened_on_white(make_picture):
    assert pixel(make_picture((1, 2, 3), transparency=(1, 2, 3))) == (255, 255, 255)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 5.0), (0.0, 1e6)])
def test_float_pictures_scale_by_their_own_range(to_bytes, low, high):
    values = np.array([[low, (low + high) / 2, high]], dtype=np.float32)
    decoded = np.asarray(decode(to_bytes(Image.fromarray(values), "TIFF")))[0, :, 0].tolist()
    assert decoded == pytest.approx([0, 127.5, 255], abs=0.5)


def test_float_pictures_of_one_value_or_with_nan_are_decoded(to_bytes):
    values = np.array([[np.nan, 0.0, 1.0]], dtype=np.float32)
    assert np.asarray(decode(to_bytes(Image.fromarray(values), "TIFF")))[0, :, 0].tolist() == [0, 0, 255]
    assert decode(to_bytes(Image.new("F", (4, 4), 7.0), "TIFF")).size == (4, 4)


@pytest.mark.parametrize("kind", sorted(set(SUPPORTED) - {"MPO"}))
def test_every_supported_type_is_told_by_content(make_picture, kind):
    data = make_picture((200, 40, 90), size=(64, 48), format=kind)
    info = probe(data)
    assert (info.mime, info.extension) == SUPPORTED[kind]
    assert (info.width, info.height) == (64, 48)
    assert pixel(data) == pytest.approx((200, 40, 90), abs=6)


UPRIGHT = {(0, 0): (255, 0, 0), (1, 0): (0, 255, 0), (0, 1): (0, 0, 255), (1, 1): (255, 255, 255)}
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize(("orientation", "kind"), product(STORED_AS, ["JPEG", "PNG", "WEBP"]))
def test_exif_orientations_come_out_upright(to_bytes, orientation, kind):
    image = Image.new("RGB", (64, 48))
    for (right, low), color in UPRIGHT.items():
        image.paste(color, (32 * right, 24 * low, 32 * right + 32, 24 * low + 24))
    how = STORED_AS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = to_bytes(image if how is None else image.transpose(how), kind, exif=exif, quality=95)
    decoded = decode(data)
    assert decoded.size == (64, 48) == (probe(data).width, probe(data).height)
    for (right, low), color in UPRIGHT.items():
        assert decoded.getpixel((16 + 32 * right, 12 + 24 * low)) == pytest.approx(color, abs=12)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts(to_bytes, kind):
    frames = [Image.new("RGB", (40, 40), c) for c in ("red", "blue")]
    data = to_bytes(frames[0], kind, save_all=True, append_images=frames[1:])
    assert pixel(data) == pytest.approx((255, 0, 0), abs=3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_of_too_many_frames_is_refused(to_bytes, kind):
    frames = [Image.new("RGB", (40, 40), (20 * n, 0, 0)) for n in range(9)]
    data = to_bytes(frames[0], kind, save_all=True, append_images=frames[1:])
    assert decode(data, limits=Limits(max_frames=9)).size == (40, 40)
    assert fault(data, Limits(max_frames=8)) == ImageFault.TOO_LARGE
    with pytest.raises(ImageError, match="has 9 frames; at most 8 are taken"):
        probe(data, Limits(max_frames=8))


def test_a_jpeg_is_decoded_no_larger_than_needed(make_photo):
    data = make_photo(1, size=(1600, 1200), format="JPEG")
    small = decode(data, shorter_side=256)
    assert 256 <= min(small.size) < 600
    assert decode(data, shorter_side=2000).size == decode(data).size == (1600, 1200)


def fault(data, limits=None):
    with pytest.raises(ImageError) as caught:
        decode(data, limits=limits or Limits())
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return caught.value.fault


def png_header(width, height, bits=8, colors=2):
    """A PNG that says how large it is and holds next to nothing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colors, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ImageFault.EMPTY),
        (b"hello, this is text", ImageFault.NOT_AN_IMAGE),
        (b"<!doctype html><p>404", ImageFault.NOT_AN_IMAGE),
        (b"\0" * 1000, ImageFault.NOT_AN_IMAGE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ImageFault.UNSUPPORTED_TYPE),
        (b"<?xml version='1.0'?>\n<svg/>", ImageFault.UNSUPPORTED_TYPE),
        (b"%PDF-1.7", ImageFault.UNSUPPORTED_TYPE),
        (b"8BPS\0\1", ImageFault.UNSUPPORTED_TYPE),
        (b"\x89PNG\r\n\x1a\n\0\0", ImageFault.TRUNCATED),
        (b"\xff\xd8\xff\xe0", ImageFault.TRUNCATED),
    ],
)
def test_what_is_no_picture_says_why(data, expected):
    assert fault(data) == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_picture_that_was_cut_off_is_refused(make_photo, kind, share):
    data = make_photo(2, format=kind)
    assert fault(data[: int(len(data) * share)]) == ImageFault.TRUNCATED


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (8_000, 8_000), (20_001, 1), (1, 20_001)])
def test_bombs_are_refused_by_their_header_at_once(size):
    start = time.process_time()
    assert fault(png_header(*size)) == ImageFault.TOO_LARGE
    with pytest.raises(ImageError):
        probe(png_header(*size))
    assert time.process_time() - start < 0.5


def test_limits_of_bytes_pixels_and_sides(make_picture):
    data = make_picture(size=(40, 30))
    assert decode(data, limits=Limits(max_bytes=len(data), max_pixels=1200, max_side=40)).size == (40, 30)
    assert fault(data, Limits(max_bytes=len(data) - 1)) == ImageFault.TOO_LARGE
    assert fault(data, Limits(max_pixels=1199)) == ImageFault.TOO_LARGE
    assert fault(data, Limits(max_side=39)) == ImageFault.TOO_LARGE


def test_a_text_chunk_that_unpacks_to_gigabytes_is_refused(make_picture):
    plain = make_picture(size=(40, 40))
    body = b"c\0\0" + zlib.compress(b"\0" * 64 * 2**20)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    assert fault(plain[:33] + chunk + plain[33:]) == ImageFault.TRUNCATED


def test_no_cut_or_flipped_byte_escapes_as_another_error(make_photo):
    random = np.random.default_rng(5)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        data = make_photo(3, size=(40, 40), format=kind)
        for _ in range(40):
            broken = bytearray(data)
            for place in random.integers(0, len(data), 6):
                broken[place] = random.integers(0, 256)
            with suppress(ImageError):
                assert decode(bytes(broken)).mode == "RGB"


def test_sha256_of_abc():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
