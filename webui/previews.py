"""Pictures as the result pages show them: small JPEGs made anew from pixels, named by what was uploaded."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tellapart.errors import TellapartError
from tellapart.metadata import preview
from webui.cache import DAY
from webui.shelf import Shelf

LONGEST_SIDE = 960
MAX_WAITING = 1500
MAX_WAITING_BYTES = 4 * 2**20  # of one picture
MAX_PICTURES = 5000
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Previews:
    """A folder of previews, kept as long as the results; beyond `limit` the oldest are given up."""

    def __init__(self, folder: Path, limit: int = MAX_PICTURES, clock: Callable[[], float] = time.time) -> None:
        self._files = Shelf(folder, ".jpg", limit, clock=clock)
        self._waiting = Shelf(folder / "waiting", ".upload", MAX_WAITING, DAY, clock)

    def save(self, digest: str, data: bytes) -> None:
        """Make and keep the preview of a picture; one that cannot be made leaves the page without."""
        if not self._files.touch(digest):  # kept as long as its newest result
            with suppress(TellapartError):
                self._files.put(digest, preview(data, LONGEST_SIDE))

    def save_later(self, digest: str, data: bytes) -> None:
        """Put one of many pictures aside as it came, for a day: its preview is made when somebody looks at it."""
        if len(data) > MAX_WAITING_BYTES:
            self.save(digest, data)
        elif not self._files.touch(digest):
            self._waiting.put(digest, data)

    def sweep(self) -> None:
        """Delete what is too old or too many."""
        self._files.sweep()
        self._waiting.sweep()

    def has(self, digest: str) -> bool:
        """Whether there is a preview of the picture with this sha256, or what to make it of."""
        return bool(_DIGEST.fullmatch(digest)) and bool(self._files.find(digest) or self._waiting.find(digest))

    def find(self, digest: str) -> Path | None:
        """The preview of the picture with this sha256, None where there is none (any more)."""
        if not _DIGEST.fullmatch(digest):
            return None
        return self._files.find(digest) or self._made_now(digest)

    def _made_now(self, digest: str) -> Path | None:
        waiting = self._waiting.find(digest)
        if waiting is None:
            return self._files.find(digest)  # another request may just have made it
        with suppress(FileNotFoundError):  # another request makes the same
            self.save(digest, waiting.read_bytes())
        self._waiting.remove(digest)
        return self._files.find(digest)
