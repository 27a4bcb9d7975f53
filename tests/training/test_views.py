"""What the network looks at is chosen by the pictures that learn, and by no others."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import training.views
from tellapart.backbones import BACKBONES
from tellapart.classifier import Loader
from tellapart.dataset import Dataset, Sample
from tellapart.errors import DataError
from tellapart.images import sha256
from tellapart.progress import silent
from tellapart.weights import Weights, load_weights
from training.features import Features, FeatureSource, Skipped
from training.protocol import cut, learn_and_judge
from training.protocol_names import Protocol
from training.views import extract_views, preprocessings, see_all, settle_view

CLASSES = ["a", "b", "c"]


def made(splits: dict[str, int]) -> list[Sample]:
    """So many pictures of each of three classes in each split."""
    return [
        Sample(Path(name), class_index, name, split, name)
        for split, count in splits.items()
        for class_index in range(3)
        for i in range(count)
        for name in [f"{split}-{class_index}-{i}"]
    ]


def seen(samples: Sequence[Sample], signal: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Features 20 wide in which the class shows as much as `signal` says; a picture's are always the same."""
    centres = np.random.default_rng(42).normal(size=(3, 20)) * signal
    rows = [centres[int(s.sha256.split("-")[1])] + _noise(s, seed) for s in samples]
    return np.array(rows, dtype=np.float32)


def _noise(sample: Sample, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng([seed, *sample.sha256.encode()]).normal(size=20)


def two_views(samples: list[Sample], signals: tuple[float, float]) -> Features:
    return Features(seen(samples, signals[0]), samples, others=(seen(samples, signals[1], 1),))


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("efficientnet_lite0", "auto")


@pytest.fixture(scope="module")
def source(weights: Weights) -> FeatureSource:
    return FeatureSource.of_weights(weights, torch.device("cpu"))[0]


@pytest.mark.parametrize(("signals", "better"), [((0.3, 1.5), 1), ((1.5, 0.3), 0)])
@pytest.mark.parametrize("splits", [{"train": 20, "test": 8}, {"train": 20, "val": 8}, {"train": 20}])
def test_the_view_that_tells_classes_apart_is_chosen_and_judged(
    splits: dict[str, int], signals: tuple[float, float], better: int
) -> None:
    features = two_views(made(splits), signals)
    outcome = learn_and_judge(features, CLASSES, 0, silent)
    assert outcome.choice.view == better
    assert outcome.learning is not None
    np.testing.assert_array_equal(outcome.learning.values[0], features.views[better][0])
    assert (outcome.probabilities.argmax(1) == outcome.judged.targets).mean() > 0.9
    direct = outcome.head.probabilities(outcome.judged.values)
    if outcome.protocol is not Protocol.CROSS_VALIDATION:
        np.testing.assert_array_equal(direct, outcome.probabilities)


def test_what_judges_has_no_say_in_the_view() -> None:
    """In the held-out pictures the other view is by far the better one."""
    samples = made({"train": 20, "test": 12})
    features = two_views(samples, (1.0, 0.5))
    judging = np.array([s.split == "test" for s in samples])
    swapped = [v.copy() for v in features.views]
    for view, signal in zip(swapped, (0.0, 3.0), strict=True):
        view[judging] = seen([s for s in samples if s.split == "test"], signal)
    planted = Features(swapped[0], samples, others=(swapped[1],))
    outcome = learn_and_judge(planted, CLASSES, 0, silent)
    assert outcome.choice.view == 0
    assert (outcome.probabilities.argmax(1) == outcome.judged.targets).mean() < 0.7


@pytest.mark.parametrize("better", [0, 1])
@pytest.mark.parametrize("splits", [{"train": 20, "val": 40, "test": 20}, {"train": 20, "val": 40}])
def test_neither_who_judges_nor_who_chooses_a_candidate_has_a_say_in_the_view(
    splits: dict[str, int], better: int, source: FeatureSource
) -> None:
    """To all but those that the network would learn from, the other view is by far the better one."""
    ways, samples = BACKBONES["efficientnet_lite0"].preprocessings, made(splits)
    learn = {s.sha256 for s in cut(two_views(samples, (0.0, 0.0)), 0).learn.samples}
    views = [
        np.concatenate([seen([s], own if s.sha256 in learn else others, view) for s in samples])
        for view, (own, others) in enumerate([(0.5, 3.0), (1.5, 0.0)][:: 2 * better - 1])
    ]
    features = Features(views[0], samples, others=(views[1],))
    sources, settled = settle_view([source.seeing(p) for p in ways], features, 0)
    assert [s.preprocessing for s in sources] == [ways[better]]
    np.testing.assert_array_equal(settled.values, views[better])
    assert (settled.samples, settled.others) == (samples, ())


def test_where_cross_validation_judges_the_view_is_left_to_its_folds(source: FeatureSource) -> None:
    features = two_views(made({"": 20}), (0.3, 1.5))
    assert settle_view([source, source], features, 0) == ([source, source], features)


def test_every_fold_chooses_its_view_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of noise: were the view chosen once by all pictures, its luck would lift the score."""
    chosen: list[int] = []
    real = training.protocol.choose_view

    def watched(features: Features, *rest: Any) -> Any:
        choice = real(features, *rest)
        chosen.append(len(features.samples))
        return choice

    monkeypatch.setattr(training.protocol, "choose_view", watched)
    monkeypatch.setattr(training.forked, "cpus", lambda: 1)  # what other processes did would not be seen
    learn_and_judge(two_views(made({"train": 10}), (0.0, 0.0)), CLASSES, 0, silent)
    assert chosen[0] == 30
    assert len(chosen) == 6
    assert all(n < 30 for n in chosen[1:])


@pytest.mark.parametrize(("signals", "better"), [((0.3, 1.5), 1), ((1.5, 0.3), 0)])
def test_a_sample_of_what_learns_chooses_for_many(
    signals: tuple[float, float], better: int, source: FeatureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = made({"train": 20, "test": 8})
    ways = BACKBONES["efficientnet_lite0"].preprocessings
    asked: list[tuple[str, int, set[str]]] = []

    def computed(samples: Sequence[Sample], source: FeatureSource, *rest: Any) -> Features:
        asked.append((source.preprocessing.fit, len(samples), {s.split for s in samples}))
        return Features(seen(samples, signals[ways.index(source.preprocessing)]), list(samples))

    monkeypatch.setattr(training.views, "extract", computed)
    monkeypatch.setattr(training.views, "SAMPLE", 30)
    monkeypatch.setattr(training.views, "SAMPLE_OF_CLASS", 1)
    sources, features = extract_views(samples, source, ways, tmp_path, 0, silent)
    assert [s.preprocessing for s in sources] == [ways[better]]
    assert (len(features.views), len(features.samples)) == (1, 84)
    looks = [12] if ways[better].fit == "whole" else [12, 30]
    assert asked[:-1] == [(fit, n, {"train"}) for n in looks for fit in ("crop", "whole")]
    assert asked[-1] == (ways[better].fit, 84, {"train", "test"})


def test_curation_sees_every_view_side_by_side(
    source: FeatureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, ways = made({"train": 2}), BACKBONES["efficientnet_lite0"].preprocessings

    def computed(samples: Sequence[Sample], source: FeatureSource, *rest: Any) -> Features:
        return Features(seen(samples, 1.0, ways.index(source.preprocessing)), list(samples))

    monkeypatch.setattr(training.views, "extract", computed)
    found = see_all(samples, source, ways, tmp_path, silent)
    np.testing.assert_array_equal(found.side_by_side, np.hstack([seen(samples, 1.0, 0), seen(samples, 1.0, 1)]))


def test_a_picture_missing_in_one_view_is_in_none(
    source: FeatureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = made({"train": 2})

    def computed(samples: Sequence[Sample], source: FeatureSource, *rest: Any) -> Features:
        gone = list(samples[:1]) if source.preprocessing.fit == "whole" else []
        left = [s for s in samples if s not in gone]
        return Features(seen(left, 1.0), left, [Skipped(s, "gone") for s in gone])

    monkeypatch.setattr(training.views, "extract", computed)
    _, features = extract_views(samples, source, BACKBONES["efficientnet_lite0"].preprocessings, tmp_path, 0, silent)
    assert features.samples == samples[1:]
    assert [len(v) for v in features.views] == [5, 5]
    assert [s.sample for s in features.skipped] == samples[:1]


def test_where_none_of_those_that_were_to_judge_can_be_read_nobody_who_chose_judges(
    source: FeatureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test split is gone, so that val judges: the sample that chooses is drawn anew, without it."""
    samples = made({"train": 20, "val": 8, "test": 8})
    ways = BACKBONES["efficientnet_lite0"].preprocessings
    asked: list[set[str]] = []

    def computed(samples: Sequence[Sample], source: FeatureSource, *rest: Any) -> Features:
        asked.append({s.split for s in samples})
        left = [s for s in samples if s.split != "test"]
        signal = (0.3, 1.5)[ways.index(source.preprocessing)]
        return Features(seen(left, signal), left, [Skipped(s, "gone") for s in samples if s.split == "test"])

    monkeypatch.setattr(training.views, "extract", computed)
    monkeypatch.setattr(training.views, "SAMPLE", 30)
    monkeypatch.setattr(training.views, "SAMPLE_OF_CLASS", 1)
    sources, features = extract_views(samples, source, ways, tmp_path, 0, silent)
    assert asked[-3:] == [{"train"}, {"train"}, {"train", "val"}]
    assert [s.preprocessing for s in sources] == [ways[1]]
    assert {s.split for s in features.samples} == {"train", "val"}
    assert len(features.skipped) == 24


@pytest.mark.parametrize("readable", [0, 1])
def test_where_hardly_any_file_is_left_the_class_without_pictures_is_named(
    readable: int, source: FeatureSource, tmp_path: Path, make_shape: Callable[[int, int], bytes]
) -> None:
    """More pictures than the sample that chooses the view, and their files are gone."""
    samples = made({"train": 105, "test": 5})
    assert len(samples) - 15 > training.views.SAMPLE
    for i in range(readable):
        path = tmp_path / "left.png"
        path.write_bytes(make_shape(0, 0))
        samples[i] = replace(samples[i], path=path, sha256=sha256(path.read_bytes()))
    ways = BACKBONES["efficientnet_lite0"].preprocessings
    _, features = extract_views(samples, source, ways, tmp_path / "cache", 0, silent)
    assert (len(features.samples), len(features.skipped)) == (readable, len(samples) - readable)
    with pytest.raises(DataError, match=f"class 'a' has {readable} usable picture"):
        learn_and_judge(features, CLASSES, 0, silent)


def test_random_weights_have_no_choice(weights: Weights) -> None:
    assert preprocessings(weights) == weights.backbone.preprocessings
    assert preprocessings(replace(weights, origin="none")) == (weights.backbone.preprocessing,)


def test_views_of_real_pictures_are_those_of_their_preprocessing(
    source: FeatureSource, tmp_path: Path, make_dataset: Callable[..., Dataset]
) -> None:
    samples = make_dataset(tmp_path / "shapes", ("train", "train")).samples()
    ways = BACKBONES["efficientnet_lite0"].preprocessings
    sources, features = extract_views(samples, source, ways, tmp_path / "cache", 0, silent)
    assert [s.preprocessing for s in sources] == list(ways)
    for how, values in zip(ways, features.views, strict=True):
        pixels = np.stack([how.from_bytes(s.path.read_bytes()) for s in samples])
        np.testing.assert_allclose(source.extractor(pixels), values, atol=1e-4)
    assert features.computed == 12


def test_the_bundle_has_the_view_that_was_chosen_and_answers_by_it(trained: Any) -> None:
    info = trained.info
    assert info.preprocessing in BACKBONES["efficientnet_lite0"].preprocessings
    classifier = Loader().load(trained.folder)
    held = [s for s in trained.dataset.samples() if s.split == "test"]
    pixels = np.stack([info.preprocessing.from_bytes(s.path.read_bytes()) for s in held])
    right = classifier.probabilities(pixels).argmax(axis=1) == [s.class_index for s in held]
    assert right.mean() == pytest.approx(info.metrics["accuracy"])
