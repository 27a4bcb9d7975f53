"""Features: cached, resumed after a kill, the same for every batch, and honest about pictures that are gone."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tellapart.dataset import Dataset, Sample
from tellapart.errors import TellapartError
from tellapart.images import sha256
from tellapart.preprocess import Preprocessing
from tellapart.progress import Progress, silent
from tellapart.weights import load_weights
from training.feature_cache import FeatureCache
from training.features import FeatureSource, extract

MakeDataset = Callable[..., Dataset]


@pytest.fixture(scope="module")
def source() -> FeatureSource:
    return FeatureSource.of_weights(load_weights("efficientnet_lite0", "auto"), torch.device("cpu"))[0]


@pytest.fixture
def samples(tmp_path: Path, make_dataset: MakeDataset) -> list[Sample]:
    return make_dataset(tmp_path / "shapes").samples()


def test_a_second_run_computes_nothing(samples: list[Sample], source: FeatureSource, tmp_path: Path) -> None:
    first = extract(samples, source, tmp_path / "cache", silent)
    again = extract(samples, source, tmp_path / "cache", silent)
    assert (first.computed, again.computed) == (18, 0)
    np.testing.assert_array_equal(first.values, again.values)
    assert first.values.shape == (18, 2240)
    assert first.values.dtype == np.float32


def test_a_killed_run_goes_on(samples: list[Sample], source: FeatureSource, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.done:
            raise Killed

    with pytest.raises(Killed):
        extract(samples, source, tmp_path / "cache", kill)
    resumed = extract(samples, source, tmp_path / "cache", silent)
    assert 0 < resumed.computed < 18
    whole = extract(samples, source, tmp_path / "other", silent)
    np.testing.assert_array_equal(resumed.values, whole.values)


def test_pictures_that_are_gone_damaged_or_changed_are_skipped(
    samples: list[Sample], source: FeatureSource, tmp_path: Path
) -> None:
    samples[0].path.unlink()
    samples[1].path.write_bytes(samples[2].path.read_bytes())
    nonsense = tmp_path / "nonsense.png"
    nonsense.write_bytes(b"no picture")
    digest = "abc6d4fe1c34bc0eaf6a9a4a9ea7a2e5c3a0c0a9ff20a3c6a1a7d2a8bf4a0a11"
    strange = replace(samples[3], path=nonsense, sha256=digest)
    features = extract([*samples, strange], source, tmp_path / "cache", silent)
    assert len(features.values) == len(features.samples) == 16
    assert [s.sample for s in features.skipped] == [samples[0], samples[1], strange]
    assert "No such file" in features.skipped[0].why
    assert "changed" in features.skipped[1].why
    # and none of them left anything in the cache
    assert extract(samples[:2], source, tmp_path / "cache", silent).values.shape == (0, 2240)


def test_a_picture_that_crashed_its_decoder_is_skipped_by_the_next_run(
    samples: list[Sample], source: FeatureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = tmp_path / "cache" / "decoding"

    def decode(preprocessing: Preprocessing, data: bytes) -> object:
        assert sha256(data) in [mark.name for mark in marks.iterdir()], "if this run dies, the next one knows"
        return real(preprocessing, data)

    real = Preprocessing.from_bytes
    monkeypatch.setattr(Preprocessing, "from_bytes", decode)
    (tmp_path / "sitecustomize.py").write_text("import signal\nsignal.raise_signal(signal.SIGSEGV)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    marks.mkdir(parents=True)
    (marks / samples[0].sha256).touch()
    features = extract(samples, source, tmp_path / "cache", silent)
    assert [(s.sample, "SIGSEGV" in s.why) for s in features.skipped] == [(samples[0], True)]
    assert [mark.name for mark in marks.iterdir()] == [samples[0].sha256]


def test_a_picture_has_the_same_features_in_every_batch(samples: list[Sample], source: FeatureSource) -> None:
    pixels = np.stack([source.preprocessing.from_bytes(s.path.read_bytes()) for s in samples])
    alone = np.concatenate([source.extractor(p[None]) for p in pixels])
    for size in (2, 7, 18):
        together = np.concatenate([source.extractor(pixels[i : i + size]) for i in range(0, 18, size)])
        np.testing.assert_allclose(together, alone, atol=1e-4)


def test_progress_counts_what_is_computed(samples: list[Sample], source: FeatureSource, tmp_path: Path) -> None:
    seen: list[Progress] = []
    extract(samples[:5], source, tmp_path / "cache", silent)
    extract(samples, source, tmp_path / "cache", seen.append)
    assert seen[-1].finished
    assert (seen[-1].done, seen[-1].total, seen[-1].counts["cached"]) == (13, 13, 5)
    assert seen[-1].rate > 0


def test_torch_keeps_its_threads(samples: list[Sample], source: FeatureSource, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    extract(samples, source, tmp_path / "cache", silent)
    assert torch.get_num_threads() == threads


def test_the_key_tells_backbones_and_preprocessing_apart(source: FeatureSource) -> None:
    other = replace(source, preprocessing=replace(source.preprocessing, resize=300))
    assert len({source.key, other.key, replace(source, backbone_sha256="f" * 64).key}) == 3


def test_a_damaged_cache_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with FeatureCache(path, 2) as cache:
        cache.put({"a": np.array([1, 2], np.float32)})
        np.testing.assert_array_equal(cache.get(["a", "b"])["a"], [1, 2])


def test_a_cache_that_another_program_holds_is_not_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.feature_cache._PATIENCE", 0.05)
    path = tmp_path / "x.sqlite"
    with FeatureCache(path, 2) as cache:
        cache.put({"a": np.array([1, 2], np.float32)})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TellapartError, match="locked"):
            FeatureCache(path, 2)
    with FeatureCache(path, 2) as cache:
        assert cache.get(["a"])


def test_a_vector_of_another_length_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with FeatureCache(path, 3) as cache:
        cache.put({"a": np.zeros(3, np.float32)})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE features SET vector = x'00'")
    db.close()
    with FeatureCache(path, 3) as cache:
        assert cache.get(["a"]) == {}
