"""Archives that are sent while they are made."""

import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from flask import Response

from tellapart.dataset_zip import member
from webui.downloads import attachment

_BLOCK = 256 * 1024


def zip_response(write: Callable[[IO[bytes]], object], name: str) -> Response:
    """What `write` writes into a file object, as a download called `name`."""
    return attachment(Response(streamed(write), mimetype="application/zip"), name)


def streamed(write: Callable[[IO[bytes]], object]) -> Iterator[bytes]:
    """The bytes that `write` writes, as they come; it runs in a thread of its own and ends when nobody reads on."""
    reading, writing = os.pipe()
    failed: list[BaseException] = []
    writer = threading.Thread(target=_write, args=(write, writing, failed), daemon=True)
    writer.start()
    try:
        while block := os.read(reading, _BLOCK):
            yield block
        writer.join()
        if failed:
            raise failed[0]
    finally:
        os.close(reading)


def add_files(archive: zipfile.ZipFile, folder: Path, prefix: str = "") -> None:
    """Write the files below a folder into an archive, in order; links are passed over."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        entry = member(f"{prefix}{path.relative_to(folder)}")
        with path.open("rb") as file, archive.open(entry, "w", force_zip64=True) as out:
            shutil.copyfileobj(file, out, _BLOCK)


def _write(write: Callable[[IO[bytes]], object], descriptor: int, failed: list[BaseException]) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as file:
        try:
            write(file)
        except BrokenPipeError:
            raise
        except BaseException as error:
            failed.append(error)
