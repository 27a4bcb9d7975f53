"""Whether a file may be a picture, by its name or by its first bytes, without opening it."""

from pathlib import PurePosixPath

from PIL import Image

from tellapart.images import OPENABLE, SUPPORTED

HEAD = 16  # bytes by which Pillow tells the kinds apart
_NOT_TAKEN = {".svg", ".psd", ".ico", ".jp2", ".jxl", ".tga", ".zip"}  # pictures all the same, or what may hold some
_ENDINGS = {ending for ending, kind in Image.registered_extensions().items() if kind in SUPPORTED} | _NOT_TAKEN


def named_as_picture(name: str) -> bool:
    """Whether a file is named as pictures are, also as such that are not taken."""
    return PurePosixPath(name).suffix.lower() in _ENDINGS


def begins_as_picture(data: bytes) -> bool:
    """Whether the first `HEAD` bytes are those of a kind that is taken, whatever comes after them."""
    accepts = (Image.OPEN[kind][1] for kind in OPENABLE)
    return any(accept and accept(data[:HEAD]) for accept in accepts)
