"""Memory that a front and a Runner both see: pictures are laid into it and need not go through a socket.

There each piece of them would be copied twice, with both sides woken for it. The memory has no name, takes up what
was written to, and is gone with the last process that has it open. Linux only, as `memfd_create` and `/proc` are.
"""

import mmap
import os
from collections.abc import Iterable

SIZE = 2**25  # more than a batch of pixels has


class SharedBuffer:
    """The side that writes.

    Attributes:
        path: where a process of the same user opens it, with `open_buffer`, as long as it is not closed here.
    """

    def __init__(self, size: int = SIZE) -> None:
        """Raises OSError where there is no room for it, or too much is open."""
        self._descriptor = os.memfd_create("tellapart")
        try:
            os.ftruncate(self._descriptor, size)
            self._memory = mmap.mmap(self._descriptor, size)
        except OSError:
            os.close(self._descriptor)
            raise
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def write(self, pieces: Iterable[bytes | memoryview]) -> int:
        """Lay pieces in, one after the other, from the beginning; how many bytes they have.

        Raises:
            ValueError: there is not so much room.
        """
        self._memory.seek(0)
        return sum(self._memory.write(piece) for piece in pieces)

    def close(self) -> None:
        """Let go of it; who has opened it keeps what is in it."""
        self._memory.close()
        os.close(self._descriptor)


def open_buffer(path: str) -> memoryview:
    """What a `SharedBuffer` of another process has.

    Raises:
        OSError: it was closed, or that process may not be looked into.
    """
    with open(path, "r+b") as file:
        if not os.fstat(file.fileno()).st_size:
            raise FileNotFoundError(f"{path} is something else by now")
        return memoryview(mmap.mmap(file.fileno(), 0))
