"""The front's side of a Runner: starting it, asking it, and starting it again when it dies."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from tellapart.hardware import visible_gpus
from tellapart.messages import GOODBYE, UNOPENED, WATCH, Closed, Head, Piece, pack, receive
from tellapart.shared_buffer import SIZE, SharedBuffer
from tellapart.wire import ServiceError

_ROOT = Path(__file__).resolve().parent.parent
_POLL_S = 0.05
_LONGEST_PAUSE_S = 10.0
_ANSWER_S = 60.0  # a batch takes well under a second; a Runner that needs longer hangs
_CONNECT_S = 5.0  # to one that is there and has loaded what it needs
_LOAD_S = 3600.0  # may include compiling
_START_S = 300.0  # importing torch takes seconds, and a minute where others keep the processor busy
_CONNECTION_BYTES = 2**24  # an answer is read in one go

_log = logging.getLogger(__name__)


class _Connection:
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
        self._connections: dict[str, list[_Connection]] = {}
        self._watch: _Connection | None = None
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
        _sweep()
        self._keeping = asyncio.create_task(self._keep())
        with contextlib.suppress(OSError):  # includes that it took too long
            if await _is_open(_socket_path(self._number)):
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
            except (Closed, OSError, ServiceError) as error:
                pause = min(2 * pause + 0.25, _LONGEST_PAUSE_S)
                _log.warning("the Runner is not usable: %s", error)
            finally:
                self._set_ready(False)
                self._close()
            await asyncio.sleep(pause)

    def _set_ready(self, ready: bool) -> None:
        if self.ready != ready:
            (self._up.set if ready else self._up.clear)()
            self._changed()

    def _lose(self, connection: _Connection) -> None:
        """Give a Runner up as soon as one connection says that it ended, so that nothing more is sent to it."""
        if self._watch and any(connection in lane for lane in self._connections.values()):
            self._set_ready(False)
            self._watch.writer.close()  # where it lives after all, it is connected to again

    async def _connect(self) -> None:
        path = _socket_path(self._number)
        while not await _is_open(path):
            with _turn(path) as lock:
                if lock is not None and not await _is_open(path):
                    await _start(path, self._number, lock)
            await asyncio.sleep(_POLL_S)
        watch = await _open(path)
        watch.writer.writelines(pack({"do": WATCH, "front": os.getpid(), "supervisor": os.getppid()}))
        self._connections = {lane: [await _open(path) for _ in range(n)] for lane, n in self._lanes.items()}
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


def _socket_path(number: int) -> Path:
    """The same for all fronts of one supervisor, in a folder that nobody else can enter.

    Raises:
        PermissionError: somebody else made that folder.
    """
    folder = Path(tempfile.gettempdir()) / f"tellapart-{os.getuid()}-{os.getppid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not ours alone. Delete it")
    return folder / f"{number}.sock"


def _sweep() -> None:
    """Take away the folders of supervisors that are gone, where no Runner of theirs is left.

    The lock tells of Runners whose supervisor cannot be seen from here, as in another container with the same folder.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"tellapart-{os.getuid()}-*"):
        if not Path("/proc", folder.name.rpartition("-")[2]).exists():
            with contextlib.suppress(OSError), contextlib.ExitStack() as locks:
                for lock in folder.glob("*.lock"):
                    fcntl.flock(locks.enter_context(lock.open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


async def _open(path: Path) -> _Connection:
    return _Connection(*await asyncio.open_unix_connection(path, limit=_CONNECTION_BYTES))


async def _is_open(path: Path) -> bool:
    try:
        connection = await _open(path)
    except OSError:
        return False
    connection.close()
    return True


@contextlib.contextmanager
def _turn(path: Path) -> Iterator[int | None]:
    """A descriptor that holds the lock where it is this front's turn to start the Runner, else None.

    What is started holds it on, so that nobody starts another while it lives.
    """
    with path.with_suffix(".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield file.fileno()


async def _start(path: Path, number: int, lock: int) -> None:
    gpus = visible_gpus()
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": gpus[number] if gpus else "",
        "OPENBLAS_NUM_THREADS": "1",  # it would start threads when it is imported
    }
    process = subprocess.Popen(  # uvloop's way would hand down the socket on which the fronts listen
        [sys.executable, "-m", "tellapart.runner", str(path)],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(lock,),
    )
    deadline = time.monotonic() + _START_S
    while not await _is_open(path):
        if (status := process.poll()) is not None:
            raise Closed(f"it ended with status {status}")
        if time.monotonic() > deadline:
            process.kill()
            raise Closed(f"it did not start within {_START_S:.0f} s")
        await asyncio.sleep(_POLL_S)
