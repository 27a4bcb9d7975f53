import numpy as np
import pytest
import torch

from tellapart.backbones import BACKBONES, find_backbone
from tellapart.errors import UsageError
from tellapart.fused import FusedConv, can_fuse
from tellapart.network import FeatureExtractor, build_module, digest, load_module, pick_device, pick_dtype, serialize
from tellapart.preprocess import Preprocessing


@pytest.fixture
def resnet18():
    torch.manual_seed(0)
    return build_module(BACKBONES["resnet18"])


def pictures(count, side=224):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", BACKBONES)
def test_each_backbone_gives_features_of_its_dimension(name):
    backbone = BACKBONES[name]
    extractor = FeatureExtractor(build_module(backbone), backbone.preprocessing)
    features = extractor(pictures(2))
    assert features.shape == (2, backbone.feature_dim)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_an_unknown_backbone_names_those_there_are():
    with pytest.raises(
        UsageError, match=r"unknown backbone 'vgg'\. Use one of: resnet50, resnet18, efficientnet_lite0"
    ):
        find_backbone("vgg")


def test_a_picture_has_the_same_features_in_any_batch(resnet18):
    extractor = FeatureExtractor(resnet18, BACKBONES["resnet18"].preprocessing)
    batch = pictures(5)
    together = extractor(batch)
    alone = np.concatenate([extractor(batch[i : i + 1]) for i in range(5)])
    assert np.abs(together - alone).max() <= 1e-3 * np.abs(together).max()


def test_pixels_are_normalised_per_channel():
    """The 'backbone' gives back what it was fed at one pixel, so the answer is known by hand."""

    class Corner(torch.nn.Module):
        def forward(self, batch):
            return batch[:, :, 0, 0]

    preprocessing = Preprocessing(4, 4, "bilinear", (127.0, 0.0, 10.0), (128.0, 1.0, 2.0))
    pixels = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    pixels[0, 0, 0] = (255, 7, 30)
    assert FeatureExtractor(Corner(), preprocessing)(pixels).tolist() == [[1.0, 7.0, 10.0]]


@pytest.mark.parametrize(("most", "sizes"), [(1, [1]), (6, [1, 2, 4, 6]), (24, [1, 2, 4, 8, 16, 24])])
def test_a_network_is_warmed_up_for_small_and_large_batches(most, sizes):
    seen = []

    class Sizes(torch.nn.Module):
        def forward(self, batch):
            seen.append(len(batch))
            return batch[:, :, 0, 0]

    extractor = FeatureExtractor(Sizes(), BACKBONES["resnet18"].preprocessing)
    extractor.at_once = most
    extractor.warm_up(8, most)
    assert seen == sizes


def test_the_digest_of_weights_is_stable_and_tells_weights_apart(resnet18):
    torch.manual_seed(0)
    again = build_module(BACKBONES["resnet18"])
    other = build_module(BACKBONES["resnet18"])
    assert serialize(again) == serialize(resnet18)
    assert digest(serialize(other)) != digest(serialize(again))
    assert digest(b"abc").startswith("ba7816bf")


def test_weights_there_and_back(resnet18):
    from safetensors.torch import load

    data = serialize(resnet18)
    assert serialize(load_module(BACKBONES["resnet18"], load(data))) == data
    with pytest.raises(RuntimeError):
        load_module(BACKBONES["resnet50"], load(data))


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == pick_device("cpu").type == "cpu"
    assert pick_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert pick_dtype(torch.device("cuda")) == torch.float32  # a GPU that only plays at bfloat16
    with pytest.raises(UsageError, match=r"no GPU that this PyTorch can use\. Use --device cpu"):
        pick_device("cuda")
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        pick_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [pick_device(d).type for d in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_folded_normalisation_gives_the_same_features(name):
    """Statistics as training leaves them, not the zeros and ones a new network begins with."""
    torch.manual_seed(1)
    module, backbone = build_module(BACKBONES[name]), BACKBONES[name]
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (part.running_mean, -0.2, 0.2),
                (part.running_var, 0.5, 1.5),
                (part.bias, 0, 0.3),
            ):
                torch.nn.init.uniform_(tensor, low, high)
    pixels = pictures(2, 96)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (backbone.preprocessing.mean, backbone.preprocessing.std))
    with torch.inference_mode():
        plain = module((torch.from_numpy(pixels).permute(0, 3, 1, 2) - mean) / std).numpy()
    extractor = FeatureExtractor(module, backbone.preprocessing, dtype=torch.float32)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules())
    np.testing.assert_allclose(extractor(pixels), plain, rtol=1e-3, atol=1e-4 * np.abs(plain).max())


@pytest.mark.parametrize("side", [64, 75])
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_convolutions_give_the_features_of_plain_ones(name, side, dtype):
    """Sides that TensorFlow pads evenly and unevenly, in batches of all sizes."""
    torch.manual_seed(2)
    module, preprocessing = build_module(BACKBONES[name]), BACKBONES[name].preprocessing
    twin = load_module(BACKBONES[name], module.state_dict())
    plain = FeatureExtractor(twin, preprocessing, dtype=dtype, fused=False)
    fused = FeatureExtractor(module, preprocessing, dtype=dtype)
    assert any(isinstance(part, FusedConv) for part in fused.whole_pass().modules()) == can_fuse()
    for count in (5, 1, 4):
        expected = plain(pictures(count, side))
        error = np.abs(fused(pictures(count, side)) - expected).max()
        assert error <= (1e-5 if dtype is torch.float32 else 0) * np.abs(expected).max()


@pytest.mark.skipif(not can_fuse(), reason="this torch cannot fuse")
def test_packed_weights_are_counted_bounded_and_let_go_of(resnet18):
    extractor = FeatureExtractor(resnet18, BACKBONES["resnet18"].preprocessing, dtype=torch.float32)
    weights = extractor.nbytes // 2
    counted = []
    for side in (64, 75, 96, 107, 128):
        extractor(pictures(1, side))
        counted.append(extractor.nbytes // weights)
    assert counted == [2, 3, 4, 4, 4]
    extractor.use(64, extractor.whole_pass())
    assert extractor.nbytes == 2 * weights
