"""The golden picture, and an engine that refuses what answers differently."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart.backbones import BACKBONES
from tellapart.classifier import Loader
from tellapart.engine import Engine
from tellapart.golden import golden_answer, golden_pixels
from tellapart.wire import ServiceError


def test_the_picture_is_always_the_same() -> None:
    pixels = golden_pixels(BACKBONES["resnet18"].preprocessing)
    assert (pixels.shape, pixels.dtype) == ((1, 224, 224, 3), np.uint8)
    assert pixels[0, 0, 0].tolist() == [128, 128, 128]
    assert pixels[0, 28, 0].tolist() == [128, 212, 248]  # sines of 0, pi / 4, pi / 2


@pytest.mark.parametrize(
    ("kept", "served"),
    [
        (None, True),
        ((0.7311, 0.2689), True),
        ((0.7231, 0.2769), True),
        ((0.7431, 0.2569), False),
        ((0.2689, 0.7311), False),
        ((0.7311, 0.2689, 0.0), False),
        ((float("nan"), 0.2689), False),
    ],
)
def test_a_little_drift_is_let_through_and_more_is_not_served(
    tmp_path: Path, tiny_bundle: Callable[..., Any], kept: tuple[float, ...] | None, served: bool
) -> None:
    tiny_bundle(tmp_path / "bundle", golden=kept)
    engine = Engine(Loader(), 2**30)
    if served:
        assert engine.load(str(tmp_path / "bundle")).info.golden == kept
        return
    with pytest.raises(ServiceError, match="golden") as refusal:
        engine.load(str(tmp_path / "bundle"))
    assert refusal.value.code == "unusable_model"


def test_what_a_bundle_keeps_is_what_it_answers(tmp_path: Path, tiny_bundle: Callable[..., Any]) -> None:
    tiny_bundle(tmp_path)
    classifier = Loader().load(tmp_path)
    found = golden_answer(classifier.extractor, classifier.info.preprocessing, classifier.bundle.head)
    assert found == pytest.approx((0.731059, 0.268941), abs=1e-6)
