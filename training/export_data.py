"""The pictures behind a classifier: those it learned from, and those an export is checked with."""

import io
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from PIL import Image

from tellapart.bundle import BundleInfo
from tellapart.dataset import Dataset, Sample
from tellapart.images import ImageError, decode, sha256
from tellapart.learned import trained_on
from tellapart.settings import Settings

CHECK_PICTURES = 32
_SIMPLE = {"JPEG", "PNG", "WEBP", "GIF", "BMP"}


def learned_pictures(info: BundleInfo, settings: Settings) -> frozenset[str]:
    """The sha256 of the pictures a classifier learned from, as far as its data set is here."""
    dataset = trained_on(info, settings)
    judges = {"test": {"test"}, "validation": {"val"}}.get(str(info.metrics.get("protocol")), set())
    return frozenset(s.sha256 for s in dataset.samples() if s.split not in judges) if dataset else frozenset()


def check_pictures(dataset: Dataset | None, count: int = CHECK_PICTURES) -> list[bytes]:
    """Files of pictures of every class in turn, the rest generated where there are too few; always the same ones."""
    found: list[bytes] = []
    for sample in _in_turn(dataset.samples() if dataset else []):
        data = _usable(sample)
        found += [data] if data else []
        if len(found) == count:
            break
    return found + [_generated(seed) for seed in range(count - len(found))]


def _in_turn(samples: Sequence[Sample]) -> Iterator[Sample]:
    """One sample of each class, then the next of each."""
    by_class: dict[int, list[Sample]] = {}
    for sample in sorted(samples, key=lambda s: s.sha256):
        by_class.setdefault(sample.class_index, []).append(sample)
    for row in zip_longest(*(mine for _, mine in sorted(by_class.items()))):
        yield from (sample for sample in row if sample is not None)


def _usable(sample: Sample) -> bytes | None:
    """The file's bytes, where it is an ordinary picture of 8 bits a channel."""
    try:
        data = Path(sample.path).read_bytes()
        if sha256(data) != sample.sha256:
            return None
        with Image.open(io.BytesIO(data)) as image:
            simple = image.format in _SIMPLE and image.mode[0] not in "IF"
        decode(data)
    except (OSError, ImageError):
        return None
    return data if simple else None


def _generated(seed: int) -> bytes:
    """A picture of soft blobs of colour as PNG."""
    blobs = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blobs).resize((360, 280), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()
