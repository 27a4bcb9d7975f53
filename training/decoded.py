"""Pictures decoded and resized once, so that no epoch reads an original again.

    FOLDER/<first two digits of the sha256>/<sha256>.npy     (H, W, 3) uint8

One file a picture, written whole or not at all, mapped when read: worker processes and trainings share
what the machine keeps of it in memory. The files are derived data: a damaged one is made again.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tellapart.dataset import Sample
from tellapart.errors import DataError
from tellapart.files import readable_disk_errors, write_bytes
from tellapart.hardware import cpus
from tellapart.images import decode
from tellapart.preprocess import Preprocessing
from tellapart.progress import Report, Stage
from tellapart.wording import counted

SHORTER_SIDE = 256
LIMIT = 32 * 2**30  # bytes
_ROOM_LEFT = 0.5  # of what is free when it begins
_LONGEST = 3  # times the shorter side; the middle of a longer picture is kept
_AT_ONCE = 64

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class PictureCache:
    """Pixels (H, W, 3) uint8 of pictures by the sha256 of their bytes.

    Attributes:
        folder: of this form of picture alone.
        make: a file's bytes to pixels.
        room: bytes that may be added; pictures beyond are made anew each time they are asked for.
    """

    folder: Path
    make: Callable[[bytes], Pixels]
    room: int = LIMIT

    @staticmethod
    def for_training(cache: Path, side: int = SHORTER_SIDE) -> "PictureCache":
        """Upright RGB with a shorter side of `side`, for augmentation to cut from."""
        return PictureCache(cache / f"decoded-{side}", Shrink(side), _room(cache))

    @staticmethod
    def for_network(cache: Path, preprocessing: Preprocessing) -> "PictureCache":
        """Exactly what the network sees in evaluation and in service."""
        how = json.dumps(preprocessing.to_json(), sort_keys=True)
        name = f"decoded-input-{hashlib.sha256(how.encode()).hexdigest()[:8]}"
        return PictureCache(cache / name, preprocessing.from_bytes, _room(cache))

    def get(self, sample: Sample) -> Pixels:
        """The pixels of a picture, from the cache where they are there.

        Raises:
            DataError: they are not, and the picture cannot be read.
        """
        path = self._path(sample)
        with suppress(OSError, ValueError, EOFError):
            return _checked(np.load(path, mmap_mode="r", allow_pickle=False))
        return self._read(sample)

    def fill(self, samples: Sequence[Sample], report: Report, stage: str) -> None:
        """Decode the pictures that are missing while there is room for them.

        Raises:
            DataError: a picture cannot be read.
            TellapartError: the disk is full.
        """
        missing = list({s.sha256: s for s in samples if not self._path(s).exists()}.values())
        used = 0
        with Stage(report, stage, total=len(missing)) as progress, ThreadPoolExecutor(_workers()) as pool:
            for start in range(0, len(missing), _AT_ONCE):
                if used >= self.room:
                    without = counted(len(missing) - start, "picture has", "pictures have")
                    progress.note(f"{without} no room in the cache, so it takes longer")
                    break
                part = missing[start : start + _AT_ONCE]
                used += sum(pool.map(self._store, part))
                progress.advance(len(part))

    def _store(self, sample: Sample) -> int:
        buffer = BytesIO()
        np.save(buffer, self._read(sample), allow_pickle=False)
        write_bytes(self._path(sample), buffer.getvalue(), durable=False)
        return buffer.tell()

    def _read(self, sample: Sample) -> Pixels:
        try:
            return self.make(sample.path.read_bytes())
        except OSError as error:
            raise DataError(f"{sample.path} cannot be read: {error.strerror}", "Train again") from error
        except DataError as error:
            raise DataError(f"{sample.path}: {error.what}", "Train again, which leaves it out") from error

    def _path(self, sample: Sample) -> Path:
        return self.folder / sample.sha256[:2] / f"{sample.sha256}.npy"


@dataclass(frozen=True)
class Shrink:
    """Decodes to an upright RGB picture whose shorter side is `side` pixels, whatever it was before."""

    side: int

    def __call__(self, data: bytes) -> Pixels:
        """Pixels (H, W, 3) of a file's bytes; raises ImageError."""
        image = decode(data, shorter_side=self.side)
        left, top, right, bottom = _middle(image.size)
        scale = self.side / min(right - left, bottom - top)
        size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
        return np.array(image.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom)), dtype=np.uint8)


def _middle(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of a picture that is kept: all of it, unless one side is far longer than the other."""
    most = _LONGEST * min(size)
    left, top = (max(0, (length - most) / 2) for length in size)
    return left, top, size[0] - left, size[1] - top


def _checked(pixels: Pixels) -> Pixels:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("not a picture")
    return pixels


def _room(cache: Path) -> int:
    with readable_disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
        return min(LIMIT, int(_ROOM_LEFT * shutil.disk_usage(cache).free))


def _workers() -> int:
    return min(16, cpus())
