"""The front's side of a Runner: starting it, asking it, and starting it again when it dies."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable

from tellapart.messages import GOODBYE, WATCH, Closed, Head, Piece, pack
from tellapart.runner_connection import Connection, is_open, open_connection
from tellapart.runner_process import POLL_S, socket_path, start_runner, sweep, turn
from tellapart.wire import ServiceError

_LONGEST_PAUSE_S = 10.0
_ANSWER_S = 60.0  # a batch takes well under a second; a Runner that needs longer hangs
_CONNECT_S = 5.0  # to one that is there and has loaded what it needs
_LOAD_S = 3600.0  # may include compiling

_log = logging.getLogger(__name__)


class RunnerLink:
    """Keeps one Runner process alive and asks it. All fronts under one supervisor share it.

    Args:
        number: which Runner, and which GPU where there is one.
        lanes: how many questions of each kind may be under way at once.
        prepare: called with the link whenever a Runner is up, before it counts as ready.
        changed: called whenever one has become ready, or is so no more.
    """

    def __init__(
        self,
        number: int,
        lanes: dict[str, int],
        prepare: Callable[["RunnerLink"], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._number, self._lanes, self._prepare, self._changed = number, lanes, prepare, changed
        self._connections: dict[str, list[Connection]] = {}
        self._watch: Connection | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self.under_way = 0

    @property
    def ready(self) -> bool:
        """Whether the Runner can compute."""
        return self._up.is_set()

    async def start(self) -> None:
        """Begin to keep a Runner; what servers that were killed left behind goes.

        Where one is there already, as for a front that takes the place of another, this returns once it is connected
        to, so that nobody is told it were not ready.
        """
        sweep()
        self._keeping = asyncio.create_task(self._keep())
        with contextlib.suppress(OSError):  # includes that it took too long
            if await is_open(socket_path(self._number)):
                async with asyncio.timeout(_CONNECT_S):
                    await self._up.wait()

    async def stop(self) -> None:
        """Let go of the Runner; it ends when the last front has done so."""
        if self._watch:
            with contextlib.suppress(OSError, RuntimeError):  # it has ended just now
                self._watch.writer.writelines(pack({"do": GOODBYE}))
                await self._watch.writer.drain()
        if self._keeping:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping

    async def ask(self, lane: str, head: Head, *parts: Piece) -> tuple[Head, bytes]:
        """One question and its answer. One that was sent is answered, also where nobody waits for it any more.

        A Runner that hangs is ended, so that another is started.

        Raises:
            ServiceError: what the Runner refused, or `not_ready` as it is not there or died over it.
        """
        if not self._connections or not (self.ready or lane == "load"):
            raise starting()
        connection, limit = min(self._connections[lane], key=lambda c: c.busy), _LOAD_S if lane == "load" else _ANSWER_S
        self.under_way += 1
        try:
            answer, body = await connection.ask(head, parts, limit)
        except (Closed, OSError):
            self._lose(connection)
            raise starting() from None
        finally:
            self.under_way -= 1
        if "code" in answer:
            raise ServiceError(answer["code"], answer["message"])
        return answer, body

    async def _keep(self) -> None:
        """One that was killed is connected to again at once; one that cannot be started, at growing intervals."""
        pause = 0.0
        while True:
            try:
                await self._connect()
                await self._prepare(self)
                pause = 0.0
                self._set_ready(True)
                if self._watch:
                    await self._watch.reader.read(1)  # nothing is ever sent: this ends when the Runner does
                _log.warning("the Runner ended; another is started")
            except Exception as error:  # without another try the service would be of no use any more
                pause = min(2 * pause + 0.25, _LONGEST_PAUSE_S)
                foreseen = isinstance(error, Closed | OSError | ServiceError)
                _log.warning("the Runner is not usable: %s", error, exc_info=not foreseen)
            finally:
                self._set_ready(False)
                self._close()
            await asyncio.sleep(pause)

    def _set_ready(self, ready: bool) -> None:
        if self.ready != ready:
            (self._up.set if ready else self._up.clear)()
            self._changed()

    def _lose(self, connection: Connection) -> None:
        """Give a Runner up as soon as one connection says that it ended, so that nothing more is sent to it."""
        if self._watch and any(connection in lane for lane in self._connections.values()):
            self._set_ready(False)
            self._watch.writer.close()  # where it lives after all, it is connected to again

    async def _connect(self) -> None:
        path = socket_path(self._number)
        while not await is_open(path):
            with turn(path) as lock:
                if lock is not None and not await is_open(path):
                    await start_runner(path, self._number, lock)
            await asyncio.sleep(POLL_S)
        watch = await open_connection(path)
        watch.writer.writelines(pack({"do": WATCH, "front": os.getpid()}))
        self._connections = {lane: [await open_connection(path) for _ in range(n)] for lane, n in self._lanes.items()}
        self._watch = watch

    def _close(self) -> None:
        for connection in [c for lane in self._connections.values() for c in lane]:
            connection.close()
        if self._watch:
            self._watch.close()
        self._connections, self._watch = {}, None


def starting() -> ServiceError:
    """What is said of a Runner that is not there."""
    return ServiceError("not_ready", "the classifier is starting again. Try again in a moment")
