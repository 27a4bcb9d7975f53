"""The command line in a home of its own, with pictures and a classifier."""

from collections.abc import Callable
from pathlib import Path

import pytest

import cli
from tellapart.bundle import BundleInfo
from tellapart.store import new_model
from tests.cli.helpers import METRICS, MakePicture, Tell, Told, fill


@pytest.fixture
def tell(isolated_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tell:
    """Runs `tellapart` with these words in a home of its own, without a network, a browser or downloaded weights."""
    monkeypatch.chdir(isolated_home)
    monkeypatch.setenv("TORCH_HOME", str(isolated_home / "torch"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("TELLAPART_CHROMIUM", "/nonexistent")
    monkeypatch.setenv("TELLAPART_GALLERY", str(isolated_home / "pets"))

    def run(*words: str) -> Told:
        code = cli.main(list(words))
        written = capsys.readouterr()
        return Told(code, written.out, written.err)

    return run


@pytest.fixture
def pets(isolated_home: Path, make_photo: MakePicture) -> Path:
    """A plain folder "pets" with three pictures of each of two classes."""
    return fill(isolated_home / "pets", {"cat": 3, "dog": 3}, make_photo)


@pytest.fixture
def classifier(isolated_home: Path, tiny_bundle: Callable[..., BundleInfo]) -> str:
    """The exact tag of a classifier in the store, which says cat to everything."""
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, metrics=METRICS)
    return f"pets:{version}"
