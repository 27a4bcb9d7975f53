"""Pictures as the result pages show them: small JPEGs made anew from pixels, named by what was uploaded."""

import io
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import Image

from tellapart.errors import TellapartError
from tellapart.images import decode
from webui.shelf import Shelf

LONGEST_SIDE = 960
OF_MANY = 480  # the longest side of one of many pictures, whose copies must cost little
MAX_PICTURES = 5000
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Previews:
    """A folder of previews, kept as long as the results; beyond `limit` the oldest are given up."""

    def __init__(self, folder: Path, limit: int = MAX_PICTURES, clock: Callable[[], float] = time.time) -> None:
        self._files = Shelf(folder, ".jpg", limit, clock=clock)

    def save(self, digest: str, data: bytes, longest_side: int = LONGEST_SIDE) -> None:
        """Make and keep the preview of a picture; one that cannot be made leaves the page without."""
        if not self._files.touch(digest):  # kept as long as its newest result
            with suppress(TellapartError):
                self._files.put(digest, preview(data, longest_side))

    def find(self, digest: str) -> Path | None:
        """The preview of the picture with this sha256, None where there is none (any more)."""
        return self._files.find(digest) if _DIGEST.fullmatch(digest) else None


def preview(data: bytes, longest_side: int = LONGEST_SIDE) -> bytes:
    """A JPEG of at most `longest_side` pixels a side, with nothing of the original but its pixels.

    Raises:
        ImageError: the bytes are no usable picture.
    """
    decoded = decode(data, shorter_side=longest_side * 3 // 4)  # a quarter less on a square one costs half
    decoded.thumbnail((longest_side, longest_side))
    clean = Image.new("RGB", decoded.size)
    clean.paste(decoded)
    buffer = io.BytesIO()
    clean.save(buffer, "JPEG", quality=86)
    return buffer.getvalue()
