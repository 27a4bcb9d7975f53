"""Helpers for the tests of every room: generated pictures, a home of one's own, a classifier without training."""

import io
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tellapart.backbones import BACKBONES
from tellapart.bundle import BundleInfo, Head, write_bundle
from tellapart.names import parse_class_names

MakePicture = Callable[..., bytes]


@pytest.fixture(scope="session")
def make_picture() -> MakePicture:
    """A picture of one colour as a file's bytes: `make_picture("red", (64, 48), "PNG", mode="RGBA")`."""

    def make(
        color: Any = "red",
        size: tuple[int, int] = (64, 64),
        format: str = "PNG",  # noqa: A002
        mode: str = "RGB",
        **options: Any,
    ) -> bytes:
        return encode(Image.new(mode, size, color), format, **options)

    return make


@pytest.fixture(scope="session")
def make_photo() -> MakePicture:
    """A picture with structure as a file's bytes; every seed looks different to a perceptual hash."""

    def make(
        seed: int,
        size: tuple[int, int] = (96, 96),
        format: str = "PNG",  # noqa: A002
        **options: Any,
    ) -> bytes:
        blobs = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        return encode(Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC), format, **options)

    return make


@pytest.fixture(scope="session")
def to_bytes() -> MakePicture:
    """A PIL image as a file's bytes: `to_bytes(image, "TIFF", compression="lzw")`."""
    return encode


def encode(image: Image.Image, format: str, **options: Any) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that holds TELLAPART_HOME ("home") and BENTOML_HOME ("bentoml") of this test alone."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    monkeypatch.setenv("TELLAPART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    (tmp_path / "bentoml" / "models").mkdir(parents=True)
    # BentoML reads its home once a process, so the variable alone would not do
    BentoMLContainer.model_store.set(ModelStore(str(tmp_path / "bentoml" / "models")))
    yield tmp_path
    BentoMLContainer.model_store.reset()


@pytest.fixture(scope="session")
def tiny_bundle() -> Callable[..., BundleInfo]:
    """Writes a classifier into a folder: `tiny_bundle(folder, ("cat", "dog"), head=Head(...), metrics={...})`.

    ResNet18 with random weights (45 MB), or `file` in their place where nobody will load them. The
    default head takes no notice of the features and has the biases 0, -1, -2 ... in class index order,
    so two classes always get 0.7311 and 0.2689.
    """

    def write(
        folder: Path,
        classes: tuple[str, ...] = ("cat", "dog"),
        head: Head | None = None,
        file: bytes | None = None,
        **changes: Any,
    ) -> BundleInfo:
        backbone = BACKBONES["resnet18"]
        count = len(classes)
        plain = Head(np.zeros((count, backbone.feature_dim), np.float32), -np.arange(count, dtype=np.float32))
        fields: dict[str, Any] = {
            "classes": parse_class_names(classes),
            "preprocessing": backbone.preprocessing,
            "backbone": backbone.name,
            "backbone_sha256": "",
            "head_sha256": "",
            "weights": "none",
            "temperature": 1.0,
            "reject_threshold": None,
            "metrics": {"accuracy": 0.9},
            "dataset": {"name": "pets"},
            "training": {"seed": 0},
            "packages": {},
            "created": "2026-01-01T00:00:00+00:00",
        }
        return write_bundle(folder, BundleInfo(**fields | changes), file or _random_resnet18(), head or plain)

    return write


@cache
def _random_resnet18() -> bytes:
    import torch

    from tellapart.network import build_module, serialize

    torch.manual_seed(0)
    return serialize(build_module(BACKBONES["resnet18"]))
