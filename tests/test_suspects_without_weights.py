"""Looking for suspects where a backbone's own weights cannot be had."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import tellapart.weights
import workflow
from tellapart.errors import MissingError
from tellapart.folders import open_folder
from tellapart.progress import silent
from training.options import TrainingOptions


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str) -> bytes:
        raise httpx.ConnectError(f"no way to {url}")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(tellapart.weights, "_download", refuse)


@pytest.mark.usefixtures("offline")
def test_random_weights_need_no_network_to_look_for_suspects(tmp_path: Path, make_photo: Callable[..., bytes]) -> None:
    for seed in range(8):
        path = tmp_path / "pictures" / ("cat" if seed % 2 else "dog") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_photo(seed))
    dataset = open_folder(tmp_path / "pictures", tmp_path / "cache")
    workflow.curate(dataset, 0, silent)
    workflow.find_suspects(dataset, TrainingOptions(backbone="resnet18", weights="none"), silent)
    with pytest.raises(MissingError, match="ResNet18"):
        workflow.find_suspects(dataset, TrainingOptions(backbone="resnet18"), silent)
