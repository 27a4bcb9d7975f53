"""Pictures as the result pages show them: small JPEGs made anew from pixels, named by what was uploaded."""

import io
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import Image

from tellapart.errors import TellapartError
from tellapart.files import write_bytes
from tellapart.images import decode
from webui.cache import KEEP_SECONDS

LONGEST_SIDE = 960
MAX_PICTURES = 2000
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Previews:
    """A folder of previews, kept as long as the results; beyond `limit` the oldest are given up."""

    def __init__(self, folder: Path, limit: int = MAX_PICTURES, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._limit, self._clock = folder, limit, clock
        self._prune()

    def save(self, digest: str, data: bytes) -> None:
        """Make and keep the preview of a picture; one that cannot be made leaves the page without."""
        path = self._path(digest)
        try:
            os.utime(path)  # kept as long as its newest result
        except FileNotFoundError:
            with suppress(TellapartError):
                write_bytes(path, preview(data))
            self._prune()

    def find(self, digest: str) -> Path | None:
        """The preview of the picture with this sha256, None where there is none (any more)."""
        if not _DIGEST.fullmatch(digest):
            return None
        path = self._path(digest)
        return path if path.is_file() else None

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.jpg"

    def _prune(self) -> None:
        """Delete what is too old or too many; another worker may be deleting the same."""
        ages = sorted(((_modified(path), path) for path in self._folder.glob("*.jpg")), reverse=True)
        oldest = self._clock() - KEEP_SECONDS
        for rank, (modified, path) in enumerate(ages):
            if rank >= self._limit or modified < oldest:
                path.unlink(missing_ok=True)


def preview(data: bytes, longest_side: int = LONGEST_SIDE) -> bytes:
    """A JPEG of at most `longest_side` pixels a side, with nothing of the original but its pixels.

    Raises:
        ImageError: the bytes are no usable picture.
    """
    decoded = decode(data, shorter_side=longest_side)
    decoded.thumbnail((longest_side, longest_side))
    clean = Image.new("RGB", decoded.size)
    clean.paste(decoded)
    buffer = io.BytesIO()
    clean.save(buffer, "JPEG", quality=86, optimize=True)
    return buffer.getvalue()


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
