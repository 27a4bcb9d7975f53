"""A model store that is full, is not there, or where something was killed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tellapart.bundle import BundleInfo
from tellapart.errors import TellapartError
from tellapart.store import new_model
from tests.cli.helpers import METRICS, Tell

ROOT = Path(__file__).resolve().parents[2]


def test_what_a_killed_training_left_beside_the_store_goes(tell: Tell, classifier: str, isolated_home: Path) -> None:
    waiting = isolated_home / "bentoml" / "tellapart-new"
    (waiting / "killed").mkdir(parents=True)
    with new_model("other") as one, new_model("another") as two:
        assert set(waiting.iterdir()) == {one[0], two[0]}
    assert list(waiting.iterdir()) == []


def test_a_full_model_store_is_one_line(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    with (
        pytest.raises(TellapartError, match="cannot be written into the model store") as told,
        new_model("pets") as new,
    ):
        (new[0] / "model.json").write_text("{}")
    assert "Make room on the disk" in str(told.value)
    assert list((isolated_home / "bentoml" / "tellapart-new").iterdir()) == []


def test_a_model_store_that_cannot_be_is_one_line() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "cli", "models", "list"], cwd=ROOT, env={**os.environ, "BENTOML_HOME": "/proc/nothing"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert told.returncode == 1
    assert "the model store at /proc/nothing cannot be used" in told.stderr
    assert "Set BENTOML_HOME" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_deleting_the_version_that_answers_says_which_answers_then(
    tell: Tell, classifier: str, tiny_bundle: Callable[..., BundleInfo]
) -> None:
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, metrics=METRICS)
    newer = f"pets:{version}"
    assert tell("models", "promote", newer).code == 0
    assert tell("models", "delete", newer, "--yes").out == f"{newer} is deleted\n{classifier} answers now\n"
    assert tell("models", "delete", classifier, "--yes").out == f"{classifier} is deleted\n"
