"""A model store that is full, is not there, or where something was killed."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tellapart.bundle import BundleInfo
from tellapart.errors import TellapartError
from tellapart.promotions import check_store
from tellapart.store import new_model
from tests.cli.helpers import METRICS, Tell, refused

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


@pytest.mark.parametrize("words", ["serve", "worker", "up", "up --check"])
def test_nothing_is_started_on_a_model_store_that_cannot_be(
    tell: Tell, isolated_home: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    (isolated_home / "file").touch()
    monkeypatch.setenv("BENTOML_HOME", str(isolated_home / "file" / "below"))
    refused(tell(*words.split()), 1, f"the model store at {isolated_home / 'file' / 'below'} cannot", "BENTOML_HOME")


def test_a_model_store_that_was_made_before_may_be_read_only(
    isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(TellapartError, match="Read-only file system"):
        check_store()
    environment = {**os.environ, "BENTOML_HOME": str(isolated_home / "bentoml")}
    command = [sys.executable, "-m", "cli", "models", "list"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=120)  # has BentoML make its folders
    check_store()


def test_deleting_the_version_that_answers_says_which_answers_then(
    tell: Tell, classifier: str, tiny_bundle: Callable[..., BundleInfo]
) -> None:
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, metrics=METRICS)
    newer = f"pets:{version}"
    assert tell("models", "promote", newer).code == 0
    assert tell("models", "delete", newer, "--yes").out == f"{newer} is deleted\n{classifier} answers now\n"
    assert tell("models", "delete", classifier, "--yes").out == f"{classifier} is deleted\n"
