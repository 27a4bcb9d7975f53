import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tellapart.bundle import BundleInfo, open_bundle, read_info
from tellapart.errors import BundleError
from tellapart.head import Head


def test_probabilities_by_hand():
    weight = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)
    head = Head(weight, np.array([0, 0, 1], dtype=np.float32))
    found = head.probabilities(np.array([[2, 0], [0, 0]], dtype=np.float32))
    # softmax of (2, 0, 1) and of (0, 0, 1)
    assert found == pytest.approx(np.array([[0.66524, 0.09003, 0.24473], [0.21194, 0.21194, 0.57612]]), abs=1e-5)
    assert found.dtype == np.float32


def test_the_temperature_divides_the_logits():
    weight, bias = np.array([[1.0], [0.0]], dtype=np.float32), np.zeros(2, dtype=np.float32)
    features = np.array([[2.0]], dtype=np.float32)
    assert Head(weight, bias).probabilities(features)[0, 0] == pytest.approx(0.880797, abs=1e-5)
    assert Head(weight, bias, temperature=2.0).probabilities(features)[0, 0] == pytest.approx(0.731059, abs=1e-5)


def test_large_logits_do_not_overflow():
    head = Head(np.array([[1000.0], [0.0]], dtype=np.float32), np.zeros(2, dtype=np.float32))
    assert head.probabilities(np.array([[10.0]], dtype=np.float32)).tolist() == [[1.0, 0.0]]


def test_there_and_back(tmp_path, tiny_bundle):
    head = Head(np.full((2, 512), 0.5, np.float32), np.array([1, 2], np.float32), temperature=1.5)
    written = tiny_bundle(tmp_path / "b", ("sea lion", "кот"), head=head, reject_threshold=0.4, file=b"weights")
    bundle = open_bundle(tmp_path / "b")
    assert bundle.info == written
    assert bundle.info.class_names == ["sea lion", "кот"]
    assert (bundle.info.temperature, bundle.info.reject_threshold) == (1.5, 0.4)
    assert bundle.head.temperature == 1.5
    assert np.array_equal(bundle.head.weight, head.weight)
    assert np.array_equal(bundle.head.bias, head.bias)
    assert bundle.backbone.name == "resnet18"
    assert bundle.backbone_file.is_file()
    labels = (tmp_path / "b" / "labels.csv").read_text()
    assert labels == '"index","class","slug"\n0,"sea lion","sea-lion"\n1,"кот","class-77095ebdd1"\n'
    assert read_info(tmp_path / "b") == written
    assert BundleInfo.from_json(json.loads(json.dumps(written.to_json()))) == written


def test_the_same_content_has_the_same_digests(tmp_path, tiny_bundle):
    first, second = tiny_bundle(tmp_path / "a"), tiny_bundle(tmp_path / "b")
    assert (first.backbone_sha256, first.head_sha256) == (second.backbone_sha256, second.head_sha256)


def change_json(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "has format 2, expected 1"),
        ({"format": None}, "has format None, expected 1"),
        ({"backbone": "vgg"}, "backbone 'vgg' is unknown, expected one of resnet50"),
        ({"backbone": ["resnet18"]}, "backbone"),
        ({"temperature": 0}, "temperature is 0.0, expected above 0"),
        ({"temperature": -1}, "expected above 0"),
        ({"temperature": float("nan")}, "expected above 0"),
        ({"temperature": float("inf")}, "expected above 0"),
        ({"temperature": "hot"}, "temperature"),
        ({"classes": None}, "classes"),
        ({"classes": ["cat", "dog"]}, r"classes\.0"),
        ({"classes": [{"name": "cat"}]}, r"classes\.0\.slug"),
        ({"preprocessing": {"crop": 1}}, "preprocessing"),
        ({"preprocessing": None}, "preprocessing"),
        ({"sizes": ["a"]}, "sizes"),
        ({"sizes": {"head.safetensors": 7}}, r"head\.safetensors has \d+ bytes, expected 7"),
        ({"sizes": {"gone.bin": 7}}, "cannot be read"),
        ({"backbone_sha256": "0" * 64}, r"backbone\.safetensors has sha256 \w{12}, expected 000000000000"),
        ({"head_sha256": "1" * 64}, r"head\.safetensors has sha256 \w{12}, expected 111111111111"),
        (
            {"classes": [{"name": n, "slug": n} for n in "abc"]},
            r"has shape \(2, 512\), expected \(3, 512\) for 3 classes",
        ),
        ({"backbone": "resnet50"}, r"has shape \(2, 512\), expected \(2, 2048\) for 2 classes and resnet50"),
    ],
)
def test_a_description_that_does_not_fit_says_what_was_expected(tmp_path, tiny_bundle, changes, words):
    tiny_bundle(tmp_path, file=b"weights")
    change_json(tmp_path, **changes)
    with pytest.raises(BundleError, match=words) as caught:
        open_bundle(tmp_path)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"', b"{}"])
def test_a_description_that_is_no_json_object(tmp_path, tiny_bundle, content):
    tiny_bundle(tmp_path, file=b"weights")
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.json"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("name", ["model.json", "backbone.safetensors", "head.safetensors", "labels.csv"])
def test_a_missing_or_cut_off_file_is_told(tmp_path, tiny_bundle, name):
    tiny_bundle(tmp_path, file=b"weights")
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-2])
    with pytest.raises(BundleError, match=name):
        read_info(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match=name):
        open_bundle(tmp_path)


def test_a_file_changed_without_its_size_is_told(tmp_path, tiny_bundle):
    tiny_bundle(tmp_path, file=b"weights")
    path = tmp_path / "backbone.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"backbone\.safetensors has sha256"):
        open_bundle(tmp_path)


def test_a_head_with_other_tensors_is_told(tmp_path, tiny_bundle):
    tiny_bundle(tmp_path, file=b"weights")
    path = tmp_path / "head.safetensors"
    save_file({"w": load_file(path)["weight"]}, path)
    from hashlib import sha256

    data = path.read_bytes()
    sizes = {"head.safetensors": len(data)}
    change_json(tmp_path, sizes=sizes, head_sha256=sha256(data).hexdigest())
    with pytest.raises(BundleError, match=r"head\.safetensors cannot be read"):
        open_bundle(tmp_path)


def test_reading_a_bundle_needs_no_torch():
    code = "import sys, tellapart.bundle, tellapart.store, tellapart.wire; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
