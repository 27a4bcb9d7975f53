"""The golden picture, and an engine that refuses what answers differently."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tellapart.backbones import BACKBONES
from tellapart.classifier import Loader
from tellapart.engine import Engine
from tellapart.golden import MAX_DRIFT, golden_answer, golden_answers, golden_pixels
from tellapart.head import Head
from tellapart.network import pick_dtype
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


@pytest.mark.parametrize(
    ("in_bfloat16", "served"), [((0.7311, 0.2689), True), ((0.7401, 0.2599), True), ((0.7431, 0.2569), False)]
)
def test_it_has_to_agree_with_one_of_the_forms(
    tmp_path: Path, tiny_bundle: Callable[..., Any], in_bfloat16: tuple[float, ...], served: bool
) -> None:
    tiny_bundle(tmp_path / "bundle", golden=(0.75, 0.25), golden_bfloat16=in_bfloat16)
    engine = Engine(Loader(), 2**30)
    if served:
        engine.load(str(tmp_path / "bundle"))
        return
    with pytest.raises(ServiceError, match=r"0\.012 off"):
        engine.load(str(tmp_path / "bundle"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_bundle_is_served_in_either_form_and_a_wrong_one_in_neither(
    tmp_path: Path, tiny_bundle: Callable[..., Any], dtype: torch.dtype
) -> None:
    """The head makes more of rounding than any that is learned."""
    if dtype != torch.float32 and pick_dtype(torch.device("cpu")) != dtype:
        pytest.skip("this processor has no bfloat16")
    weight = np.random.default_rng(0).normal(0, 10, (2, 512)).astype(np.float32)
    info = tiny_bundle(tmp_path / "plain")
    how, weights = info.preprocessing, (tmp_path / "plain" / "backbone.safetensors").read_bytes()
    features = Loader(dtype=torch.float32).load(tmp_path / "plain").extractor(golden_pixels(how))
    head = Head(weight, -(features @ weight.T)[0])  # the golden picture is on the border, where rounding shows most
    exact, rounded = golden_answers(BACKBONES[info.backbone], weights, how, head)
    assert abs(exact[0] - rounded[0]) > 2 * MAX_DRIFT
    kept = {"golden": exact, "golden_bfloat16": rounded}
    tiny_bundle(tmp_path / "right", head=head, **kept)
    tiny_bundle(tmp_path / "wrong", head=replace(head, bias=head.bias + np.float32([0.5, 0])), **kept)
    engine = Engine(Loader(dtype=dtype), 2**30)
    assert engine.load(str(tmp_path / "right")).extractor.dtype == dtype
    with pytest.raises(ServiceError, match="golden"):
        engine.load(str(tmp_path / "wrong"))


def test_what_a_bundle_keeps_is_what_it_answers(tmp_path: Path, tiny_bundle: Callable[..., Any]) -> None:
    tiny_bundle(tmp_path)
    classifier = Loader().load(tmp_path)
    found = golden_answer(classifier.extractor, classifier.info.preprocessing, classifier.bundle.head)
    assert found == pytest.approx((0.731059, 0.268941), abs=1e-6)
