"""One connection of a front to a Runner: questions and answers, and pictures in memory that both see."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from tellapart.messages import UNOPENED, Closed, Head, Piece, pack, receive
from tellapart.shared_buffer import SIZE, SharedBuffer

_CONNECTION_BYTES = 2**24  # an answer is read in one go

_log = logging.getLogger(__name__)


class Connection:
    """One question at a time; who comes meanwhile waits, and who gives up before it is their turn is not asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._lock = asyncio.Lock()
        self._shared: SharedBuffer | None = None
        self._shares = True

    @property
    def runner(self) -> int:
        """The process at the other end (struct ucred: pid, uid, gid)."""
        end: socket.socket = self.writer.get_extra_info("socket")
        found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[0])

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return self._lock.locked()

    async def ask(self, head: Head, parts: Sequence[Piece], limit_s: float) -> tuple[Head, bytes]:
        """A Runner that takes longer than the limit is ended, also where nobody waits for its answer any more.

        Raises:
            Closed: the Runner ended.
        """
        await self._lock.acquire()
        answer = asyncio.ensure_future(self._answer(head, parts, limit_s))
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # also read where nobody waits
        return await asyncio.shield(answer)

    def close(self) -> None:
        """Nothing can be asked any more."""
        self.writer.close()
        if self._shared:
            self._shared.close()
            self._shared = None

    async def _answer(self, head: Head, parts: Sequence[Piece], limit_s: float) -> tuple[Head, bytes]:
        try:
            if self.writer.is_closing():
                raise Closed("the Runner ended")
            async with asyncio.timeout(limit_s):
                self.writer.writelines(self._pack(head, parts))
                answer, body = await receive(self.reader)
                if UNOPENED in answer:
                    self._shares = False
                    self.writer.writelines(pack(head, *parts))
                    answer, body = await receive(self.reader)
                return answer, body
        except TimeoutError:
            self._end_hung(limit_s)
            raise Closed("the Runner hung") from None
        except RuntimeError as error:  # what uvloop says of a connection that was closed meanwhile
            raise Closed("the Runner ended") from error
        finally:
            self._lock.release()

    def _pack(self, head: Head, parts: Sequence[Piece]) -> list[Piece]:
        """A message whose body is in shared memory, where there is one that has room there."""
        if not self._shares or not 0 < sum(len(part) for part in parts) <= SIZE:
            return pack(head, *parts)
        if self._shared is None:
            self._shared = SharedBuffer()
        return pack({**head, "shared": self._shared.path, "size": self._shared.write(parts)})

    def _end_hung(self, limit_s: float) -> None:
        """Kill the Runner; whoever watches it sees that and starts another."""
        _log.warning("the Runner (process %d) has not answered for %d s and is ended", self.runner, limit_s)
        with contextlib.suppress(OSError):
            os.kill(self.runner, signal.SIGKILL)


async def open_connection(path: Path) -> Connection:
    """Connect to the Runner that listens on a socket."""
    return Connection(*await asyncio.open_unix_connection(path, limit=_CONNECTION_BYTES))


async def is_open(path: Path) -> bool:
    """Whether somebody listens on a socket."""
    try:
        connection = await open_connection(path)
    except OSError:
        return False
    connection.close()
    return True
