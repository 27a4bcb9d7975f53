"""Features of what is strong anywhere and of what is in each third, by values known by hand."""

from typing import Any

import numpy as np
import pytest
import torch

from tellapart.backbones import BACKBONES
from tellapart.bundle import Head, open_bundle
from tellapart.classifier import Loader
from tellapart.compiled import compile_bundle
from tellapart.errors import BundleError
from tellapart.network import FeatureExtractor, build_module, load_module, serialize
from tellapart.thirds import MARK, Thirds

EMBEDDED = BACKBONES["efficientnet_lite0"]


@pytest.fixture
def through() -> Thirds:
    """Every layer gives on what it gets."""
    network = torch.nn.Module()
    for name in Thirds.__annotations__:
        network.add_module(name, torch.nn.Identity())
    return Thirds(network)


def test_strong_is_the_root_of_the_mean_cube_and_thirds_are_halved_means(through: Thirds) -> None:
    rows = torch.tensor([1.0, 2.0, 0.0]).view(1, 1, 3, 1).expand(1, 1, 3, 2)
    expected = [3 ** (1 / 3), 0.5, 1.0, 0.0]
    np.testing.assert_allclose(through(rows)[0].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_row_across_a_border_counts_in_both_thirds(through: Thirds) -> None:
    rows = torch.tensor([1.0, 1.0, 4.0, 4.0]).view(1, 1, 4, 1)
    np.testing.assert_allclose(through(rows)[0, 1:].numpy(), [0.5, 1.25, 2.0], rtol=1e-6)


@pytest.mark.parametrize("side", [2, 3, 7, 9])
def test_the_mean_of_each_map_is_its_feature(through: Thirds, side: int) -> None:
    pictures = torch.from_numpy(np.random.default_rng(0).uniform(0, 3, (2, 4, side, side)).astype(np.float32))
    torch.testing.assert_close(through.maps(pictures).mean((2, 3)), through(pictures), rtol=1e-5, atol=1e-5)


def test_what_is_nowhere_has_a_gradient_that_is_a_number(through: Thirds) -> None:
    pictures = torch.zeros((1, 1, 3, 3), requires_grad=True)
    through(pictures).sum().backward()  # type: ignore[no-untyped-call]
    assert pictures.grad is not None
    assert torch.isfinite(pictures.grad).all()


def test_a_bundle_of_before_answers_by_averages(
    tiny_bundle: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    before = build_module(EMBEDDED, thirds=False)
    rng = np.random.default_rng(0)
    head = Head(rng.normal(size=(2, 1280)).astype(np.float32), np.zeros(2, np.float32))
    pixels = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    how = EMBEDDED.preprocessing
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (how.mean, how.std))
    with torch.inference_mode():
        features = before((torch.from_numpy(pixels).permute(0, 3, 1, 2) - mean) / std).numpy()
    tiny_bundle(tmp_path / "b", head=head, file=serialize(before), backbone=EMBEDDED.name, preprocessing=how)
    found = Loader(dtype=torch.float32).load(tmp_path / "b").probabilities(pixels)
    np.testing.assert_allclose(found, head.probabilities(features), atol=1e-4)
    assert open_bundle(tmp_path / "b").head.weight.shape == (2, 1280)
    compiled: list[FeatureExtractor] = []
    monkeypatch.setattr("tellapart.compiled.compile_network", lambda extractor, *_: compiled.append(extractor))
    compile_bundle(tmp_path / "b", tmp_path / "package.pt2", "float32")
    np.testing.assert_allclose(compiled[0](pixels), features, atol=1e-4)


@pytest.mark.parametrize("thirds", [True, False])
def test_weights_of_other_features_do_not_fit(thirds: bool) -> None:
    state = build_module(EMBEDDED, thirds).state_dict()
    assert isinstance(load_module(EMBEDDED, state, thirds), Thirds) == thirds
    with pytest.raises(RuntimeError, match=MARK):
        load_module(EMBEDDED, state, not thirds)


def test_a_bundle_whose_head_is_for_other_features_is_refused(tiny_bundle: Any, tmp_path: Any) -> None:
    after = serialize(build_module(EMBEDDED))
    heads = {dim: Head(np.zeros((2, dim), np.float32), np.zeros(2, np.float32)) for dim in (1280, 2240)}
    for dim, head in heads.items():
        tiny_bundle(tmp_path / str(dim), head=head, file=after, backbone=EMBEDDED.name)
    loader = Loader(dtype=torch.float32)
    kept = loader.load(tmp_path / "2240")
    with pytest.raises(BundleError, match="does not fit efficientnet_lite0"):  # though its backbone is in memory
        loader.load(tmp_path / "1280")
    assert kept.bundle.backbone is EMBEDDED
