"""Many classifiers over one backbone, in process."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import save

from tellapart.classifier import Loader
from tellapart.engine import Engine
from tellapart.head import Head
from tellapart.network import FeatureExtractor
from tellapart.wire import ServiceError

Bundle = Callable[..., Any]


def head(seed: int, classes: int = 2) -> Head:
    weight = np.random.default_rng(seed).normal(0, 0.3, (classes, 512)).astype(np.float32)
    return Head(weight, np.zeros(classes, np.float32))


def pictures(count: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    blobs = np.random.default_rng(1).integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return blobs.repeat(32, axis=1).repeat(32, axis=2)


@pytest.fixture
def folders(tmp_path: Path, tiny_bundle: Bundle) -> list[str]:
    for name, classes in (("a", ("cat", "dog")), ("b", ("fox", "owl", "elk"))):
        tiny_bundle(tmp_path / name, classes, head(len(classes), len(classes)))
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_a_mixed_batch_runs_the_backbone_once_and_every_head_on_its_rows(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, loader = Engine(Loader(), 2**30), Loader()
    pixels = pictures(5)
    wanted = [folders[i] for i in (0, 1, 1, 0, 1)]
    expected = [loader.load(Path(f)).probabilities(pixels[i : i + 1])[0] for i, f in enumerate(wanted)]
    for folder in folders:
        engine.load(folder)
    sizes = []
    real = FeatureExtractor.__call__
    monkeypatch.setattr(FeatureExtractor, "__call__", lambda self, p: sizes.append(len(p)) or real(self, p))
    answers = engine.answer(pixels, wanted)
    assert sizes == [5]
    for answer, probabilities in zip(answers, expected, strict=True):
        assert not isinstance(answer, ServiceError)
        np.testing.assert_allclose(answer[0], probabilities, atol=2e-3)


def test_a_bundle_that_cannot_be_loaded_fails_its_rows_only(folders: list[str]) -> None:
    (Path(folders[1]) / "head.safetensors").write_bytes(b"")
    answers = Engine(Loader(), 2**30).answer(pictures(3), [folders[0], folders[1], folders[0]])
    assert [isinstance(a, ServiceError) for a in answers] == [False, True, False]


def test_the_least_recently_used_make_room(folders: list[str]) -> None:
    engine = Engine(Loader(), 2**30)
    a = engine.load(folders[0])
    one = engine.nbytes
    assert one == a.extractor.nbytes + a.bundle.head.nbytes
    engine.load(folders[1])
    both = engine.nbytes
    assert both - one == 3 * 512 * 4 + 3 * 4  # the second one's head: the backbone is shared
    small = Engine(Loader(), both - 1)
    for folder in (*folders, folders[0]):
        small.load(folder)
    assert small.loaded == [folders[0]]


def test_many_classifiers_cost_one_backbone_and_their_heads(tmp_path: Path, tiny_bundle: Bundle) -> None:
    """The backbone's file is there once, as each bundle links it."""
    count = 1000
    info = tiny_bundle(tmp_path / "0", head=head(0))
    engine = Engine(Loader(), 2**30)
    backbone = engine.load(str(tmp_path / "0")).extractor
    for i in range(1, count):
        bundle_beside(tmp_path / "0", tmp_path / str(i), head(i), info)
    before = psutil.Process().memory_info().rss
    for i in range(1, count):
        assert engine.load(str(tmp_path / str(i))).extractor is backbone
    grown = psutil.Process().memory_info().rss - before
    one_head = 2 * 512 * 4 + 2 * 4
    assert engine.nbytes == backbone.nbytes + count * one_head
    assert grown < count * (one_head + 40_000)  # what model.json says comes with each, but no backbone of 22 MB


def bundle_beside(first: Path, folder: Path, own: Head, info: Any) -> None:
    """A bundle with a head of its own and the first one's backbone."""
    head_file = save({"weight": own.weight, "bias": own.bias})
    folder.mkdir()
    os.link(first / "backbone.safetensors", folder / "backbone.safetensors")
    (folder / "head.safetensors").write_bytes(head_file)
    changed = info.to_json() | {"head_sha256": hashlib.sha256(head_file).hexdigest(), "sizes": {}}
    (folder / "model.json").write_text(json.dumps(changed))
