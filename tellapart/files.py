"""Writing files so that a killed process leaves nothing half-written."""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tellapart.errors import TellapartError, UsageError

_PART = ".part-"
_STALE_SECONDS = 60
_PAUSE_SECONDS = 0.02


@contextmanager
def readable_disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the body into one line for people."""
    try:
        yield
    except OSError as error:
        fix = "Make room on the disk" if error.errno == 28 else "Check the folder and its permissions"
        raise TellapartError(f"cannot write {path}: {error.strerror or error}", fix) from error


def why_unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, "" where it can; tried in it, or where it would have to be made."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(4096))
            probe.flush()
    except OSError as error:
        return f"{there} is not writable ({error.strerror})"
    return ""


def refuse_unwritable(path: Path, folder: bool = False) -> None:
    """Refuse a file, or a `folder`, that cannot be written there; nothing is made.

    Raises:
        UsageError: what is in its way.
    """
    if not folder and path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder", "Name a file")
    if not folder and path.exists() and not path.is_file():  # a pipe or a device, whatever its folder is
        return
    if not folder and not os.path.lexists(path.parent):  # perhaps misspelt; none is made without a word
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}", "Make it, or give another place")
    if reason := why_unwritable(path if folder else path.absolute().parent):
        raise UsageError(f"cannot write {path}: {reason}", "Give another place")


def write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file whole or not at all (temporary file beside it, then rename).

    Args:
        path: the file.
        data: what it holds afterwards.
        durable: the file survives a power cut too, from the return on; without it, only the end of the process.

    Raises:
        TellapartError: the disk is full or the folder cannot be written.
    """
    with readable_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PART)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, 0o644)
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(handle)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def held(folder: Path, patience: float = 0) -> Iterator[None]:
    """Hold a folder, alone among the processes and threads that ask for it here; a process that dies lets go of it.

    It works between containers too, where processes have no numbers for each other. Who holds it must not ask again.

    Raises:
        BlockingIOError: others hold it for more than `patience` seconds.
    """
    end = time.monotonic() + patience
    opened = os.open(folder, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(opened)


def sweep_parts(folder: Path) -> None:
    """Remove what killed processes left half-written below a folder; writing one file takes far less than a minute."""
    stale = time.time() - _STALE_SECONDS
    with readable_disk_errors(folder):
        for path in folder.rglob(f"{_PART}*"):
            with suppress(FileNotFoundError):  # another process sweeps too, or has just renamed its own
                if path.stat().st_mtime < stale:
                    path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, readable by people; halves of characters are written as escapes."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))
