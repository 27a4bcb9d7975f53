"""Small pictures of a data set's pictures, made anew from pixels and kept with its derived data."""

from pathlib import Path

from tellapart.crashes import CrashGuard
from tellapart.dataset import Dataset
from tellapart.errors import MissingError
from tellapart.files import write_bytes
from tellapart.manifest import Attempt
from webui.datasets import refuse_deleted
from webui.previews import preview

SIZES = {"small": 256, "large": 960}  # longest side in pixels


def thumbnail(dataset: Dataset, attempt: Attempt, size: str = "small") -> Path:
    """The JPEG that stands for a picture, at most `SIZES[size]` pixels a side.

    Raises:
        MissingError: its file is gone, or its data set was deleted.
        ImageError, Rejected: the file is no usable picture any more, or ended a process.
    """
    path = dataset.cache / "thumbnails" / size / attempt.sha256[:2] / f"{attempt.sha256}.jpg"
    if not path.is_file():
        data = _original(dataset, attempt)
        with CrashGuard(dataset.cache).watching(data):
            small = preview(data, SIZES[size])
        refuse_deleted(dataset)
        write_bytes(path, small, durable=False)
    return path


def _original(dataset: Dataset, attempt: Attempt) -> bytes:
    path = dataset.image_path(attempt)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingError(
            f"the picture {attempt.sha256[:12]} of {dataset.name} cannot be read", "Restore it"
        ) from error
