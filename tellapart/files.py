"""Writing files so that a killed process leaves nothing half-written."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tellapart.errors import TellapartError


@contextmanager
def readable_disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the body into one line for people."""
    try:
        yield
    except OSError as error:
        fix = "Make room on the disk" if error.errno == 28 else "Check the folder and its permissions"
        raise TellapartError(f"cannot write {path}: {error.strerror or error}", fix) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all (temporary file beside it, then rename).

    Raises:
        TellapartError: the disk is full or the folder cannot be written.
    """
    with readable_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, readable by people."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())
