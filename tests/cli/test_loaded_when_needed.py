"""Commands load what they need and no more, so that they begin at once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import workflow
from tellapart.bundle import BundleInfo
from tellapart.dataset import Dataset
from tellapart.progress import silent
from tellapart.store import new_model
from tests.cli.helpers import METRICS, Tell
from training.fingerprint import fingerprint
from training.options import TrainingOptions

ROOT = Path(__file__).resolve().parents[2]


def test_help_comes_at_once(isolated_home: Path) -> None:
    slow = "httpx", "imagehash", "numpy", "pydantic", "bentoml", "sqlalchemy"
    code = f"import sys, cli; cli.main(['--help']); print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["models", "list"], ["doctor"]])
def test_what_needs_no_network_loads_none(
    isolated_home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """Torch and the rest of the heavy libraries take seconds to import."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # to name a GPU takes torch
    heavy = "torch", "sklearn", "scipy", "timm", "selenium"
    code = f"import sys, cli; cli.main({words!r}); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_create_with_nothing_to_do_loads_no_torch(
    tell: Tell, pets: Path, isolated_home: Path, tiny_bundle: Callable[..., BundleInfo]
) -> None:
    words = ["create", "animals", "cat", "dog", "--source", "folder:pets", "--yes"]
    assert tell("collect", "animals", *words[2:-1]).code == 0
    dataset = Dataset.open(isolated_home / "home" / "datasets" / "animals")
    workflow.curate(dataset, 0, silent)
    trained = {"fingerprint": fingerprint(dataset, TrainingOptions(budget=600.0))}
    with new_model("animals") as (folder, version):
        tiny_bundle(folder, file=b"not loaded", training=trained, metrics=METRICS)
    code = f"import sys, cli; code = cli.main({words!r}); print(code, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=isolated_home, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert f"animals:{version} is already trained on these pictures" in done.stderr
    assert done.stdout.splitlines()[-1] == "0 False"
