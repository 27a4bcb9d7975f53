import hashlib
import pickle
from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import save_file

from tellapart.backbones import BACKBONES
from tellapart.errors import DataError, MissingError, UsageError
from tellapart.network import build_module, serialize
from tellapart.weights import load_weights


@pytest.fixture(autouse=True)
def torch_cache(tmp_path, monkeypatch):
    """An empty torch cache of this test's own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def resnet18():
    torch.manual_seed(1)
    return build_module(BACKBONES["resnet18"])


def offline(url):
    raise httpx.ConnectError("no network")


def test_auto_falls_back_to_the_embedded_backbone_with_a_sentence():
    weights = load_weights("auto", "auto", fetch=offline)
    assert weights.backbone.name == "efficientnet_lite0"
    assert weights.note == (
        "ResNet50's weights could not be downloaded, so EfficientNet-Lite0, which comes with this program, "
        "is used instead"
    )
    assert weights.origin == "efficientnet-lite0-57934424.pth"


def test_the_embedded_weights_are_those_of_the_file():
    weights = load_weights("efficientnet_lite0", "auto", fetch=offline)
    assert weights.note == ""
    again = load_weights("efficientnet_lite0", "auto", fetch=offline)
    assert serialize(weights.module) == serialize(again.module)
    assert serialize(weights.module) != serialize(load_weights("efficientnet_lite0", "none").module)


def test_resnet50_without_a_network_names_three_ways_out(torch_cache):
    with pytest.raises(MissingError) as caught:
        load_weights("resnet50", "auto", fetch=offline)
    text = str(caught.value)
    assert caught.value.exit_code == 5
    assert "--weights PATH" in text
    assert f"put resnet50-11ad3fa6.pth into {torch_cache}" in text
    assert "--backbone efficientnet_lite0" in text


def test_a_download_with_another_digest_is_refused_and_not_kept(torch_cache):
    asked = []

    def fetch(url):
        asked.append(url)
        return b"a captive portal"

    with pytest.raises(MissingError, match="is not the expected file"):
        load_weights("resnet18", "auto", fetch=fetch)
    assert asked == ["https://download.pytorch.org/models/resnet18-f37072fd.pth"]
    assert not torch_cache.exists()


def test_a_download_is_kept_and_used_again(torch_cache, resnet18, tmp_path, monkeypatch):
    torch.save(resnet18.state_dict(), tmp_path / "file.pth")
    data = (tmp_path / "file.pth").read_bytes()
    name = f"resnet18-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    backbone = BACKBONES["resnet18"]
    monkeypatch.setitem(BACKBONES, "resnet18", type(backbone)(**vars(backbone) | {"weights_file": name}))
    url = f"https://download.pytorch.org/models/{name}"
    weights = load_weights("resnet18", "auto", fetch={url: data}.__getitem__)
    assert weights.origin == name
    assert (torch_cache / name).read_bytes() == data
    again = load_weights("resnet18", "auto", fetch=offline)
    assert serialize(again.module) == serialize(resnet18)


@pytest.mark.parametrize("form", ["state", "state_dict", "module.", "safetensors", "with fc"])
def test_a_given_file_in_each_form(resnet18, tmp_path, form):
    state = resnet18.state_dict()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    else:
        values = {
            "state": state,
            "state_dict": {"state_dict": state, "epoch": 3},
            "module.": {f"module.{k}": v for k, v in state.items()},
            "with fc": {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)},
        }
        torch.save(values[form], path)
    weights = load_weights("resnet18", str(path), fetch=offline)
    assert serialize(weights.module) == serialize(resnet18)
    assert (weights.origin, weights.module.training) == (path.name, False)


def test_weights_of_another_backbone_do_not_fit(resnet18, tmp_path):
    torch.save(resnet18.state_dict(), tmp_path / "w.pth")
    for name in ("resnet50", "efficientnet_lite0"):
        with pytest.raises(DataError, match=r"does not fit: \d+ of \d+ tensors are missing or of another shape"):
            load_weights(name, str(tmp_path / "w.pth"))


class Attack:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, how):
    proof, path = tmp_path / "ran", tmp_path / "w.pth"
    if how == "torch":
        torch.save({"conv1.weight": Attack(proof)}, path)
    else:
        path.write_bytes(pickle.dumps(Attack(proof)))
    with pytest.raises(DataError, match=r"w\.pth is not a readable weights file") as caught:
        load_weights("resnet18", str(path))
    assert "\n" not in str(caught.value)
    assert not proof.exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + b"\0" * 100, b"\xff" * 64])
def test_a_file_that_is_no_weights_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="is not a readable weights file") as caught:
        load_weights("resnet18", str(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [[1, 2], {}, {"epoch": 3}, torch.zeros(3)], ids=["list", "empty", "epoch", "tensor"])
def test_a_file_without_a_state_dict_says_so(tmp_path, value):
    torch.save(value, tmp_path / "w.pth")
    with pytest.raises(DataError, match="it holds no state dict"):
        load_weights("resnet18", str(tmp_path / "w.pth"))


@pytest.mark.parametrize("where", ["nowhere.pth", ".", ""])
def test_a_file_that_is_not_there(where):
    for name in ("resnet18", "auto"):
        with pytest.raises(MissingError, match="there is no weights file"):
            load_weights(name, where, fetch=offline)


def test_random_weights_follow_the_seed():
    first, again, other = (serialize(load_weights("resnet18", "none", seed=s).module) for s in (5, 5, 6))
    assert first == again != other


def test_an_unknown_backbone():
    with pytest.raises(UsageError, match="unknown backbone"):
        load_weights("vgg", "none")
