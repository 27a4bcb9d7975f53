"""What one class has while it is being filled, and what is on its way to it."""

from threading import Lock

from tellapart.manifest import Attempt, Manifest
from tellapart.names import ClassName
from tellapart.pictures import Status


class Shelf:
    """How many pictures a class has kept, and which addresses and bytes it knows; safe for threads.

    What is written down is asked of the manifest each time, and only what is under way is held here, so
    that a long run takes no more memory than a short one.
    """

    def __init__(self, class_name: ClassName, manifest: Manifest, turn: Lock) -> None:
        """Takes a manifest on a connection of its own, and the lock for it."""
        self.class_name = class_name
        self._manifest, self._turn = manifest, turn
        self._urls: set[str] = set()
        self._digests: set[str] = set()
        with turn:
            self.kept = len(manifest.kept_urls(class_name.slug))
            self.open_searches = manifest.open_searches(class_name.slug)
            self._before = manifest.last_row()

    def is_settled(self, url: str) -> bool:
        """Whether an address is not to be tried now: it is settled, or was tried in this run, or is under way."""
        with self._turn:
            return url in self._urls or self._manifest.is_settled(self.class_name.slug, url, self._before)

    def start(self, url: str) -> None:
        """An address is tried from now on, until its attempt is finished."""
        with self._turn:
            self._urls.add(url)

    def claim(self, digest: str) -> bool:
        """Whether these bytes are new to the class; only the first to ask is told so."""
        with self._turn:
            if digest in self._digests or self._manifest.has_bytes(self.class_name.slug, digest):
                return False
            self._digests.add(digest)
            return True

    def finish(self, attempt: Attempt) -> None:
        """An attempt's row is written. Bytes are known by the row of the one that claimed them, not by a copy's."""
        with self._turn:
            self._urls.discard(attempt.url)
            if attempt.status == Status.KEPT:
                self._digests.discard(attempt.sha256)
