"""What came with an upload: pictures, an archive, an address, and the options beside them."""

import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import request
from werkzeug.datastructures import FileStorage

from tellapart.files import readable_disk_errors
from tellapart.images import DEFAULT_LIMITS
from tellapart.settings import Settings
from tellapart.sniffing import HEAD, begins_as_picture
from tellapart.wire import DEFAULT_TOP_K, MAX_BATCH_IMAGES, ServiceError

_MAX_TOP_K = 100
_SHOWN_NAME = 120
_CLUTTER = {"thumbs.db", "desktop.ini"}
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Upload:
    """A picture as it came; its name is only ever shown."""

    name: str
    data: bytes


def read_uploads() -> list[Upload]:
    """The pictures in `images`; a form sent with none chosen holds one without name and bytes.

    Raises:
        ServiceError: there is none, or too many.
    """
    files = request.files.getlist("images")
    if len(files) > MAX_BATCH_IMAGES:
        raise ServiceError("too_large", f"{len(files)} pictures were sent; up to {MAX_BATCH_IMAGES} are taken at once")
    uploads = [(f.filename, Upload(shown_name(f.filename), _read(f))) for f in files]
    chosen = [upload for name, upload in uploads if name or upload.data]
    if not chosen:
        raise ServiceError("empty", "Choose at least one picture")
    return chosen


def read_pictures() -> list[Upload]:
    """The same without what systems put beside pictures, which people who choose all of a folder send along.

    Raises:
        ServiceError: as `read_uploads`.
    """
    uploads = read_uploads()
    return [upload for upload in uploads if not _is_clutter(upload.name)] or uploads


def sent_archive() -> FileStorage | None:
    """The zip archive that was sent alone, None where something else was.

    Its beginning tells, and not its name but where the beginning says nothing: then it is a damaged one.
    """
    files = [f for f in request.files.getlist("images") if f.filename]
    if len(files) != 1:
        return None
    beginning = files[0].stream.read(HEAD)
    files[0].stream.seek(0)
    named = (files[0].filename or "").lower().endswith(".zip") and not begins_as_picture(beginning)
    return files[0] if beginning.startswith(_ZIP) or named else None


def uploads_folder(settings: Settings) -> Path:
    """Where uploads are while they are looked at; what a killed process leaves there is swept away."""
    return settings.home / "web" / "uploads"


@contextmanager
def as_file(upload: FileStorage, settings: Settings) -> Iterator[Path]:
    """An upload as a file of its own on disk, gone afterwards unless it was moved away.

    Raises:
        TellapartError: it cannot be written.
    """
    place = uploads_folder(settings)
    with readable_disk_errors(place):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(dir=place))
    try:
        with readable_disk_errors(folder), (folder / "upload").open("wb") as file:
            shutil.copyfileobj(upload.stream, file, 2**20)
        yield folder / "upload"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shown_name(name: str | None) -> str:
    """A file's name as it is shown: without folders, control characters, or excess length."""
    base = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(c for c in base if unicodedata.category(c)[0] != "C").strip()
    return clean[:_SHOWN_NAME] or "picture"


def read_top_k() -> int:
    """How many classes to name.

    Raises:
        ServiceError: it is no number in range.
    """
    return read_number("top_k", DEFAULT_TOP_K, 1, _MAX_TOP_K)


def read_number(field: str, default: int, least: int, most: int) -> int:
    """A whole number of the form.

    Raises:
        ServiceError: it is no number in range.
    """
    text = request.form.get(field, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise ServiceError("wrong_field", f"{field} is {text[:20]!r}; a number from {least} to {most} is expected")
    return int(text)


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _CLUTTER


def _read(file: FileStorage) -> bytes:
    return file.stream.read(DEFAULT_LIMITS.max_bytes + 1)
