"""Starting a Runner's process, once for all fronts under one supervisor, and what is left of those that were killed."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tellapart.hardware import visible_gpus
from tellapart.messages import Closed
from tellapart.runner_connection import is_open
from tellapart.stopping import signals_held

_ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.05
_START_S = 300.0  # importing torch takes seconds, and a minute where others keep the processor busy


def socket_path(number: int) -> Path:
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


def sweep() -> None:
    """Take away the folders of supervisors that are gone, where no Runner of theirs is left.

    The lock tells of Runners whose supervisor cannot be seen from here, as in another container with the same folder.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"tellapart-{os.getuid()}-*"):
        if not Path("/proc", folder.name.rpartition("-")[2]).exists():
            with contextlib.suppress(OSError), contextlib.ExitStack() as locks:
                for lock in folder.glob("*.lock"):
                    fcntl.flock(locks.enter_context(lock.open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


@contextlib.contextmanager
def turn(path: Path) -> Iterator[int | None]:
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


async def start_runner(path: Path, number: int, lock: int) -> None:
    """Start a Runner and wait until it listens; `lock` is the descriptor that `turn` gave.

    One that nobody waits for any more is ended, as is one that takes too long.

    Raises:
        Closed: it ended, or does not listen.
    """
    process = _start(path, number, lock)
    deadline = time.monotonic() + _START_S
    try:
        while not await is_open(path):
            if (status := process.poll()) is not None:
                raise Closed(f"it ended with status {status}")
            if time.monotonic() > deadline:
                raise Closed(f"it did not start within {_START_S:.0f} s")
            await asyncio.sleep(POLL_S)
    except BaseException:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # it may have forked
            process.wait()
        raise


def _start(path: Path, number: int, lock: int) -> subprocess.Popen[bytes]:
    gpus = visible_gpus()
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": gpus[number] if gpus else "",
        "OPENBLAS_NUM_THREADS": "1",  # it would start threads when it is imported
    }
    with signals_held():  # from the process as well, until it ignores them itself
        return subprocess.Popen(  # uvloop's way would hand down the socket on which the fronts listen
            [sys.executable, "-m", "tellapart.runner", str(path), str(os.getppid())],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock,),
        )
