"""When a backbone is compiled, and when what was compiled is taken: with a stand-in for the compiler."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from tellapart import forms
from tellapart.backbones import BACKBONES
from tellapart.classifier import Classifier, Loader
from tellapart.compiled import can_compile, compile_bundle, compile_network, load_package
from tellapart.errors import BundleError
from tellapart.forms import WORTH_IT, Forms
from tellapart.golden import golden_answer, golden_pixels, sample_pixels
from tellapart.network import FeatureExtractor

Compiler = Callable[[torch.Tensor], torch.Tensor]


class Compiled:
    """What a compiler made: the features of the network, changed by `wrong`."""

    def __init__(self, classifier: Classifier) -> None:
        self._network = classifier.extractor.whole_pass()
        self.wrong: Callable[[torch.Tensor], torch.Tensor] = lambda features: features
        self.seen_in_use: list[bool] = []
        self.threads: set[int] = set()
        self._side, self._extractor = classifier.info.preprocessing.crop, classifier.extractor

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen_in_use.append(self._extractor.is_compiled(self._side))
        self.threads.add(torch.get_num_threads())
        features: torch.Tensor = self.wrong(self._network(pixels))
        return features


@pytest.fixture
def classifier(tmp_path: Path, tiny_bundle: Callable[..., Any], seeing_head: Any) -> Classifier:
    """One that keeps its answer for the golden picture."""
    tiny_bundle(tmp_path / "plain", ("cat", "dog", "bird"), seeing_head)
    plain = Loader().load(tmp_path / "plain")
    golden = golden_answer(plain.extractor, plain.info.preprocessing, plain.bundle.head)
    tiny_bundle(tmp_path / "bundle", ("cat", "dog", "bird"), seeing_head, golden=golden)
    return Loader().load(tmp_path / "bundle")


@pytest.fixture
def compiled(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Compiled:
    """Takes the compiler's place; by the clock that is watched what it made is twice as fast."""
    made = Compiled(classifier)
    monkeypatch.setattr(forms, "_compile", lambda *_: None)
    monkeypatch.setattr(forms, "load_package", lambda _: made)
    _clock(monkeypatch, 2.0, 1.0)
    return made


def _clock(monkeypatch: pytest.MonkeyPatch, slow: float, fast: float) -> None:
    real, times = forms._timed, iter((slow, fast))
    monkeypatch.setattr(forms, "_timed", lambda *args: (real(*args)[0], next(times)))


def taken(classifier: Classifier) -> bool:
    return classifier.extractor.is_compiled(classifier.info.preprocessing.crop)


def bring(classifier: Classifier, cache: Path) -> None:
    """Have it compiled and tried."""
    found = Forms("on", cache, cores=1)
    found.loaded(classifier)
    found.wait()


def test_what_is_right_and_faster_is_taken_once_that_is_known(
    classifier: Classifier, compiled: Compiled, tmp_path: Path
) -> None:
    pixels = golden_pixels(classifier.info.preprocessing)
    before = classifier.probabilities(pixels)
    bring(classifier, tmp_path)
    assert taken(classifier)
    assert not any(compiled.seen_in_use)  # it was tried without answering anybody
    np.testing.assert_allclose(classifier.probabilities(pixels), before, atol=1e-3)
    assert compiled.seen_in_use[-1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda features: -features,
        lambda features: features * float("nan"),
        lambda features: torch.cat([features[:-1], -features[-1:]]),  # one of several pictures
        lambda features: 3 * features,  # the same direction, but another answer for the golden picture
    ],
)
def test_what_computes_something_else_is_not(
    classifier: Classifier, compiled: Compiled, tmp_path: Path, wrong: Any
) -> None:
    compiled.wrong = wrong
    bring(classifier, tmp_path)
    assert compiled.seen_in_use
    assert not taken(classifier)


def test_what_is_no_faster_is_not(
    classifier: Classifier, compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(forms, "_compile", lambda *_: None)
    monkeypatch.setattr(forms, "load_package", lambda _: compiled)
    _clock(monkeypatch, 1.0, 1.0)
    bring(classifier, tmp_path)
    assert compiled.seen_in_use
    assert not taken(classifier)


@pytest.mark.parametrize("error", [RuntimeError("of another machine"), OSError("no room"), RuntimeError()])
def test_whatever_fails_what_there_is_goes_on(
    classifier: Classifier, compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: Path) -> None:
        raise error

    monkeypatch.setattr(forms, "load_package", fail)
    bring(classifier, tmp_path)
    assert not taken(classifier)
    assert classifier.probabilities(golden_pixels(classifier.info.preprocessing)).shape == (1, 3)


def test_without_a_compiler_nothing_changes(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "can_compile", lambda: False)
    bring(classifier, tmp_path)
    assert not taken(classifier)


def test_what_others_would_compute_for_a_thread_is_in_its_time(
    classifier: Classifier, compiled: Compiled, tmp_path: Path
) -> None:
    """Only a thread's own processor time is seen."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)  # as threads that start later take it
        bring(classifier, tmp_path)
        assert compiled.threads == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_other_classifier_waits_while_one_is_compiled(
    classifier: Classifier, compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    monkeypatch.setattr(forms, "_compile", lambda *_: done.wait(60))
    found = Forms("on", tmp_path, cores=1)
    found.loaded(classifier)
    assert not done.is_set()
    assert not taken(classifier)
    done.set()
    found.wait()
    assert taken(classifier)


@pytest.mark.parametrize(("mode", "compiles"), [("auto", True), ("on", False), ("off", False)])
def test_a_backbone_that_answers_many_is_compiled_in_the_background_once(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, compiles: bool
) -> None:
    begun: list[Classifier] = []

    monkeypatch.setattr(Forms, "_bring", lambda _, one: begun.append(one))
    monkeypatch.setattr("threading.Thread.start", lambda thread: thread.run())
    watching = Forms(mode, tmp_path, cores=1)
    watching.answered(classifier, WORTH_IT - 1)
    assert begun == []
    watching.answered(classifier, 1)
    watching.answered(classifier, WORTH_IT)
    assert begun == ([classifier] if compiles else [])


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_where_more_than_one_core_computes_nothing_is_compiled(
    classifier: Classifier, compiled: Compiled, tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = Forms(mode, tmp_path, cores=2)
    found.loaded(classifier)
    found.answered(classifier, WORTH_IT)
    found.wait()
    assert not compiled.seen_in_use
    assert ("2 cores compute" in caplog.text) == (mode == "on")


@pytest.mark.skipif(not can_compile(), reason="needs a C++ compiler")
def test_a_network_is_compiled_and_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    preprocessing = BACKBONES["resnet18"].preprocessing
    layers = torch.nn.Conv2d(3, 8, 3, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    network = FeatureExtractor(torch.nn.Sequential(*layers), preprocessing, dtype=torch.float32, fused=False)
    package = tmp_path / "network.pt2"
    (tmp_path / "half-network.pt2" / "unpacked" / "of one that was killed").mkdir(parents=True)
    compile_network(network, preprocessing.crop, package)
    assert list(tmp_path.iterdir()) == [package]
    assert not list(package.glob("of one*"))
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    pixels = sample_pixels(preprocessing)
    forward = load_package(package)
    np.testing.assert_allclose(forward(torch.from_numpy(pixels)).numpy(), network(pixels), rtol=1e-4, atol=1e-5)
    assert list(temporary.glob("aotinductor_*")) == []  # what is there while it is loaded, a killed Runner would leave


def test_what_was_left_half_compiled_goes_unless_somebody_is_at_it(tmp_path: Path) -> None:
    left, live = tmp_path / "half-left.pt2", tmp_path / "half-live.pt2"
    for folder in (left, live):
        folder.mkdir()
        (folder / "network.pt2").touch()
    with FileLock(tmp_path / "live.lock"), pytest.raises(BundleError):
        compile_bundle(tmp_path / "no bundle", tmp_path / "new.pt2", "float32")
    assert (left.exists(), live.exists()) == (False, True)
