"""The golden picture, and an engine that refuses what answers differently."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart.backbones import BACKBONES
from tellapart.classifier import Loader
from tellapart.engine import Engine
from tellapart.errors import BundleError
from tellapart.golden import check_golden, golden_pixels
from tellapart.wire import ServiceError


def test_the_picture_is_always_the_same() -> None:
    pixels = golden_pixels(BACKBONES["resnet18"].preprocessing)
    assert (pixels.shape, pixels.dtype) == ((1, 224, 224, 3), np.uint8)
    assert pixels[0, 0, 0].tolist() == [128, 128, 128]
    assert pixels[0, 28, 0].tolist() == [128, 212, 248]  # sines of 0, pi / 4, pi / 2


def test_a_little_drift_is_let_through_and_more_is_not() -> None:
    check_golden((0.5, 0.5), np.array([0.509, 0.491], np.float32))
    for found in ([0.52, 0.48], [0.5, 0.3, 0.2], [float("nan"), 0.5]):
        with pytest.raises(BundleError, match="golden"):
            check_golden((0.5, 0.5), np.array(found, np.float32))


def test_a_bundle_that_answers_differently_is_not_served(tmp_path: Path, tiny_bundle: Callable[..., Any]) -> None:
    tiny_bundle(tmp_path / "right", golden=(0.7311, 0.2689))
    tiny_bundle(tmp_path / "wrong", golden=(0.2689, 0.7311))
    engine = Engine(Loader(), 2**30)
    assert engine.load(str(tmp_path / "right")).info.golden == (0.7311, 0.2689)
    with pytest.raises(ServiceError, match="golden") as refusal:
        engine.load(str(tmp_path / "wrong"))
    assert refusal.value.code == "unusable_model"
