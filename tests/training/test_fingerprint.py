"""When training again is needless, and when it is not."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import training.fingerprint
from tellapart.dataset import Dataset
from training.fingerprint import fingerprint
from training.options import Mode, TrainingOptions

OTHER: dict[str, Any] = {
    "backbone": "resnet18",
    "weights": "none",
    "seed": 1,
    "device": "cpu",
    "mode": Mode.FINETUNE,
    "budget": 60.0,
    "epochs": 3,
    "tune": 5,
    "optimizer": "sgd",
}


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of downloaded weights, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.usefixtures("torch_home")
def test_every_option_counts(make_dataset: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset, usual = make_dataset(tmp_path / "a"), TrainingOptions()
    assert OTHER.keys() == {f.name for f in fields(TrainingOptions)}
    seen = {fingerprint(dataset, replace(usual, **{name: value})) for name, value in OTHER.items()}
    assert len(seen | {fingerprint(dataset, usual)}) == len(OTHER) + 1


@pytest.mark.usefixtures("torch_home")
def test_a_gpu_that_came_later_counts_where_auto_would_take_it(
    make_dataset: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, asked = make_dataset(tmp_path / "a"), [TrainingOptions(), TrainingOptions(device="cpu")]
    monkeypatch.setattr(training.fingerprint, "visible_gpus", lambda: [])
    before = [fingerprint(dataset, options) for options in asked]
    monkeypatch.setattr(training.fingerprint, "visible_gpus", lambda: ["0"])
    assert [fingerprint(dataset, o) != b for o, b in zip(asked, before, strict=True)] == [True, False]


def test_weights_that_auto_prefers_and_that_came_later_count(
    make_dataset: Callable[..., Dataset], tmp_path: Path, torch_home: Path
) -> None:
    dataset = make_dataset(tmp_path / "a")
    asked = [
        TrainingOptions(),
        TrainingOptions(backbone="efficientnet_lite0"),
        TrainingOptions(backbone="resnet50", weights="none"),
    ]
    before = [fingerprint(dataset, options) for options in asked]
    (torch_home / "resnet50-11ad3fa6.pth").write_bytes(b"weights")
    changed = [fingerprint(dataset, o) != b for o, b in zip(asked, before, strict=True)]
    assert changed == [True, False, False]
