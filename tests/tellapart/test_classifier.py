import hashlib
import json

import numpy as np
import pytest

from tellapart.classifier import Loader
from tellapart.errors import BundleError
from tellapart.head import Head


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def test_pixels_to_probabilities_known_by_hand(tmp_path, tiny_bundle):
    tiny_bundle(tmp_path / "b")
    classifier = Loader().load(tmp_path / "b")
    assert classifier.probabilities(pictures(2)) == pytest.approx(np.array([[0.731059, 0.268941]] * 2), abs=1e-5)
    assert classifier.info.class_names == ["cat", "dog"]


def test_the_head_sees_the_features(tmp_path, tiny_bundle):
    head = Head(np.eye(2, 512, dtype=np.float32) * 3, np.zeros(2, np.float32), temperature=2.0)
    tiny_bundle(tmp_path / "b", head=head)
    classifier = Loader().load(tmp_path / "b")
    features = classifier.extractor(pictures(1))[0]
    odds = np.exp(1.5 * (features[0] - features[1]))
    assert classifier.probabilities(pictures(1))[0, 0] == pytest.approx(odds / (1 + odds), abs=1e-5)


def test_classifiers_with_the_same_weights_share_a_backbone(tmp_path, tiny_bundle):
    tiny_bundle(tmp_path / "a")
    tiny_bundle(tmp_path / "b", ("x", "y", "z"))
    loader = Loader()
    first, second = loader.load(tmp_path / "a"), loader.load(tmp_path / "b")
    assert first.extractor is second.extractor
    assert second.probabilities(pictures(1)).shape == (1, 3)


def test_weights_that_do_not_fit_the_backbone_are_one_line(tmp_path, tiny_bundle):
    tiny_bundle(tmp_path, file=b"weights")
    with pytest.raises(BundleError, match="does not fit resnet18") as caught:
        Loader().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_safetensors_of_another_network_are_one_line(tmp_path, tiny_bundle):
    from safetensors.numpy import save

    data = save({"other": np.zeros(3, np.float32)})
    info = tiny_bundle(tmp_path, file=data)
    assert info.backbone_sha256 == hashlib.sha256(data).hexdigest()
    assert json.loads((tmp_path / "model.json").read_text())["sizes"]["backbone.safetensors"] == len(data)
    with pytest.raises(BundleError, match="does not fit resnet18") as caught:
        Loader().load(tmp_path)
    assert "\n" not in str(caught.value)
