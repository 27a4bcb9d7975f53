"""Heat maps: exact by the linear head, and red where a planted weight looks."""

import threading

import numpy as np
import pytest
import torch

from tellapart.backbones import BACKBONES
from tellapart.head import Head
from tellapart.heatmap import activation_maps, overlay
from tellapart.network import FeatureExtractor, build_module


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_the_mean_of_a_map_is_the_logit_against_all_classes(name: str) -> None:
    torch.manual_seed(0)
    backbone = BACKBONES[name]
    extractor = FeatureExtractor(build_module(backbone), backbone.preprocessing, dtype=torch.float32)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    weight = rng.normal(size=(3, backbone.feature_dim)).astype(np.float32)
    head = Head(weight, np.zeros(3, np.float32))
    maps = activation_maps(extractor, head, pixels, np.array([2, 0]))
    logits = extractor(pixels) @ weight.T
    expected = logits[[0, 1], [2, 0]] - logits.mean(axis=1)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), expected, rtol=1e-3, atol=1e-4)


def test_a_heat_map_is_of_its_own_picture_whatever_other_threads_compute() -> None:
    torch.manual_seed(0)
    backbone = BACKBONES["resnet18"]
    extractor = FeatureExtractor(build_module(backbone), backbone.preprocessing)
    mine, theirs = np.random.default_rng(0).integers(0, 256, (2, 1, 64, 64, 3), dtype=np.uint8)
    expected = extractor.feature_maps(mine)
    passes: list[threading.Thread] = []

    def another(*_: object) -> None:
        """In the midst of the first pass, another thread makes a whole one."""
        if not passes:
            passes.append(threading.Thread(target=extractor, args=(theirs,)))
            passes[0].start()
            passes[0].join()

    next(extractor.whole_pass().children()).get_submodule("conv1").register_forward_hook(another)
    found = extractor.feature_maps(mine)
    assert passes
    np.testing.assert_array_equal(found, expected)


def test_the_overlay_is_red_where_the_map_is_high_and_gray_elsewhere() -> None:
    heat = np.array([[1.0, -1.0], [-1.0, -1.0]], dtype=np.float32)
    picture = np.asarray(overlay(np.full((40, 40, 3), 100, np.uint8), heat)).astype(int)
    red, green, _ = picture[2, 2]
    assert red - green > 80
    assert np.abs(picture[30, 30] - 100).max() <= 2
