"""Pictures as the result pages show them: small JPEGs made anew from pixels, named by what was uploaded."""

import io
import re
from pathlib import Path

from PIL import Image

from tellapart.errors import TellapartError
from tellapart.files import write_bytes
from tellapart.images import decode

LONGEST_SIDE = 960
MAX_PICTURES = 2000
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Previews:
    """A folder of previews, the oldest given up beyond `limit`."""

    def __init__(self, folder: Path, limit: int = MAX_PICTURES) -> None:
        self._folder, self._limit = folder, limit

    def save(self, digest: str, data: bytes) -> None:
        """Make and keep the preview of a picture; one that cannot be made leaves the page without."""
        path = self._path(digest)
        try:
            if path.exists():
                path.touch()
                return
            write_bytes(path, preview(data))
        except TellapartError:
            return
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
        files = list(self._folder.glob("*.jpg"))
        if len(files) <= self._limit:
            return
        ages = sorted((f.stat().st_mtime, f) for f in files if f.exists())
        for _, old in ages[: len(files) - self._limit]:
            old.unlink(missing_ok=True)


def preview(data: bytes) -> bytes:
    """A JPEG of at most `LONGEST_SIDE` pixels a side, with nothing of the original but its pixels.

    Raises:
        ImageError: the bytes are no usable picture.
    """
    decoded = decode(data, shorter_side=LONGEST_SIDE)
    decoded.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    clean = Image.new("RGB", decoded.size)
    clean.paste(decoded)
    buffer = io.BytesIO()
    clean.save(buffer, "JPEG", quality=86, optimize=True)
    return buffer.getvalue()
