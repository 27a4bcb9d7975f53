"""Bytes to pixels, once, under limits: the only place where a picture from outside is decoded.

Collecting, training and the service all decode here, so what one of them accepts the
others accept, and a picture means the same pixels everywhere.
"""

import hashlib
import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from tellapart.errors import DataError

pillow_heif.register_heif_opener()
Image.init()
# once for all: `catch_warnings` around each decoding would not be safe in threads
warnings.filterwarnings("ignore", module=r"PIL(\..*)?$")


class ImageFault(StrEnum):
    """Why a picture cannot be used; the values are the error codes of the service."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_TYPE = "unsupported_type"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"


class ImageError(DataError):
    """One picture that cannot be used."""

    def __init__(self, fault: ImageFault, what: str, fix: str = "") -> None:
        super().__init__(what, fix)
        self.fault = fault


@dataclass(frozen=True)
class Limits:
    """What is decoded at most.

    Attributes:
        max_bytes: size of the file.
        max_pixels: width times height of the first frame.
        max_side: longest side.
        max_frames: of an animated picture, of which only the first is decoded.
        max_scans: of a JPEG, whose pixels may come in passes: each takes a few bytes and the time of a picture.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 50_000_000
    max_side: int = 20_000
    max_frames: int = 1_000
    max_scans: int = 1_000


@dataclass(frozen=True)
class ImageInfo:
    """What the header says: media type, file extension without dot, size as shown (after EXIF rotation)."""

    mime: str
    extension: str
    width: int
    height: int


DEFAULT_LIMITS = Limits()
SUPPORTED = {
    "JPEG": ("image/jpeg", "jpg"),
    "MPO": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
    "BMP": ("image/bmp", "bmp"),
    "TIFF": ("image/tiff", "tif"),
    "AVIF": ("image/avif", "avif"),
    "HEIF": ("image/heif", "heic"),
}
_KINDS_WE_REFUSE = (b"<svg", b"%PDF", b"8BPS", b"PK\x03\x04", b"\x1aE\xdf\xa3", b"\x00\x00\x01\x00")
_KINDS_WE_TAKE = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*")  # what a cut-off file still begins with
_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_JPEG = {"JPEG", "MPO"}
_SCAN = b"\xff\xda"
OPENABLE = [kind for kind in SUPPORTED if kind in Image.OPEN]  # MPO is opened as JPEG
_ORIENTATION = 0x0112
_TURNED = {5, 6, 7, 8}


def decode(data: bytes, shorter_side: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """As `read`, where only the picture counts."""
    return read(data, shorter_side, limits)[1]


def read(
    data: bytes, shorter_side: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[ImageInfo, Image.Image]:
    """What the header says, and the first frame as an upright RGB picture; transparency becomes white.

    Args:
        data: the file's bytes, any type in `SUPPORTED`, whatever its name was.
        shorter_side: the caller needs no more than this many pixels on the shorter side; a
            JPEG is then decoded at a fraction of its size where that still leaves enough.
        limits: refused beyond these before pixels are decoded.

    Raises:
        ImageError: with the fault that says why.
    """
    with _open(data, limits) as image:
        info = _info(image)
        if shorter_side is not None:
            _draft(image, shorter_side, image.mode)
        image.load()
        return info, _to_rgb(_upright(image))


def look_over(data: bytes, shorter_side: int, limits: Limits = DEFAULT_LIMITS) -> tuple[ImageInfo, Image.Image]:
    """What the header says, and the first frame in gray, read whole: a damaged file is found out.

    The gray picture is `decode`'s in gray, but that a JPEG's is decoded straight to it, at a fraction of
    its size where that leaves `shorter_side` pixels.

    Raises:
        ImageError: with the fault that says why.
    """
    with _open(data, limits) as image:
        info = _info(image)
        _draft(image, shorter_side, "L")
        image.load()
        return info, _to_gray(_upright(image))


def probe(data: bytes, limits: Limits = DEFAULT_LIMITS) -> ImageInfo:
    """Read a picture's header without decoding its pixels.

    Raises:
        ImageError: it is no picture we take, or it is beyond the limits.
    """
    with _open(data, limits) as image:
        return _info(image)


def orientation(data: bytes, limits: Limits = DEFAULT_LIMITS) -> int:
    """How a picture lies, as EXIF counts it: 1 upright, 2 to 8 to be turned or mirrored.

    Raises:
        ImageError: as `probe`.
    """
    with _open(data, limits) as image:
        found = image.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256: the identity of a picture's bytes."""
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _open(data: bytes, limits: Limits) -> Iterator[Image.Image]:
    """Open under limits, and turn whatever a decoder throws into an ImageError."""
    if not data:
        raise ImageError(ImageFault.EMPTY, "the file is empty", "Choose a picture")
    if len(data) > limits.max_bytes:
        raise _too_large(f"{len(data) / 2**20:.1f} MB", f"{limits.max_bytes / 2**20:.0f} MB")
    try:
        with Image.open(io.BytesIO(data), formats=OPENABLE) as image:
            _check(image, limits)
            _check_scans(image, data, limits)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except Image.DecompressionBombError:
        raise _too_large("too many pixels", f"{limits.max_pixels / 1e6:.0f} megapixels") from None
    except MemoryError:
        raise _too_large("more data than memory", "less") from None
    except Exception as error:  # a decoder may raise nearly anything on hostile bytes
        raise _damaged() from error


def _info(image: Image.Image) -> ImageInfo:
    mime, extension = SUPPORTED[image.format or ""]
    width, height = image.size
    if image.getexif().get(_ORIENTATION) in _TURNED:
        width, height = height, width
    return ImageInfo(mime, extension, width, height)


def _check(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise _too_large(
            f"{width} x {height} pixels", f"{limits.max_pixels / 1e6:.0f} megapixels and {limits.max_side} a side"
        )
    frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    if frames > limits.max_frames:
        raise _too_large(f"{frames} frames", f"{limits.max_frames}")


def _check_scans(image: Image.Image, data: bytes, limits: Limits) -> None:
    if image.format in _JPEG and (scans := data.count(_SCAN)) > limits.max_scans:
        raise _too_large(f"{scans} passes", f"{limits.max_scans}")


def _unidentified(data: bytes) -> ImageError:
    if data.startswith(_KINDS_WE_TAKE):
        return _damaged()
    head = data[:512].lstrip()
    if any(kind in head for kind in _KINDS_WE_REFUSE):
        return _unsupported("this kind of file")
    return ImageError(ImageFault.NOT_AN_IMAGE, "the file is not a picture", f"Use one of {_types()}")


def _damaged(detail: str = "") -> ImageError:
    return ImageError(ImageFault.TRUNCATED, f"the picture is damaged or cut off{detail}", "Send the whole file")


def _unsupported(kind: str) -> ImageError:
    return ImageError(ImageFault.UNSUPPORTED_TYPE, f"{kind} is not supported", f"Use one of {_types()}")


def _too_large(found: str, allowed: str) -> ImageError:
    return ImageError(ImageFault.TOO_LARGE, f"the picture has {found}; at most {allowed} are taken", "Make it smaller")


def _types() -> str:
    return ", ".join(sorted({extension for _, extension in SUPPORTED.values()}))


def _draft(image: Image.Image, shorter_side: int, mode: str) -> None:
    """Let the JPEG decoder skip detail and colour that would be thrown away (it halves sizes in powers of two)."""
    width, height = image.size
    scale = shorter_side / min(width, height)
    if image.format in _JPEG and image.mode in ("L", "RGB") and (scale < 1 or mode != image.mode):
        image.draft(mode, (math.ceil(width * scale), math.ceil(height * scale)))


def _upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF says; most pictures need no turning, and a copy costs a third of decoding one."""
    if image.getexif().get(_ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_wide(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_gray(image: Image.Image) -> Image.Image:
    return image if image.mode == "L" and not image.has_transparency_data else _to_rgb(image).convert("L")


def _from_wide(image: Image.Image) -> Image.Image:
    """Gray pictures of more than 8 bits: 16-bit scales by its range, wider or float ones by their own."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    low, high = (0.0, 65535.0)
    if image.mode == "F" or values.min() < low or values.max() > high:
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / max(high - low, 1e-9))
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8), "L").convert("RGB")
