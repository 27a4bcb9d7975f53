"""Small pictures of a data set's pictures, made anew from pixels and kept with its derived data."""

from pathlib import Path

from tellapart.dataset import Dataset
from tellapart.errors import MissingError
from tellapart.files import write_bytes
from tellapart.manifest import Attempt
from webui.datasets import refuse_deleted
from webui.parts import parts

SIZES = {"small": 256, "large": 960}  # longest side in pixels


def thumbnail(dataset: Dataset, attempt: Attempt, size: str = "small") -> Path:
    """The JPEG that stands for a picture, at most `SIZES[size]` pixels a side.

    Raises:
        MissingError: its file is gone, or its data set was deleted.
        Rejected: the file is no usable picture any more, or ends the process that decodes it.
        Stopped, Busy: it was not its turn.
    """
    path = dataset.cache / "thumbnails" / size / attempt.sha256[:2] / f"{attempt.sha256}.jpg"
    if not path.is_file():
        data = _original(dataset, attempt)
        with parts().decoders.one() as apart:
            small = apart.preview(data, SIZES[size])
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
