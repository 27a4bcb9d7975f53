"""Data sets, folders and pictures that commands are given."""

from pathlib import Path

import pytest

from tellapart.dataset import Dataset
from tests.cli.helpers import MakePicture, Tell, fill, refused

MAKING = "create x cat dog --source folder:pets --yes", "train pets --name x"


def test_a_folder_with_one_class_is_3(tell: Tell, isolated_home: Path, make_photo: MakePicture) -> None:
    fill(isolated_home / "one", {"cat": 3}, make_photo)
    refused(tell("train", "one", "--name", "x"), 3, "holds 1 class folder, expected at least 2", "Put the pictures")


def test_a_class_with_one_usable_picture_is_3(tell: Tell, isolated_home: Path, make_photo: MakePicture) -> None:
    folder = fill(isolated_home / "few", {"cat": 3, "dog": 1}, make_photo)
    (folder / "dog" / "broken.jpg").write_bytes(b"no picture")
    told = tell("train", "few", "--name", "x", "--backbone", "efficientnet_lite0")
    refused(told, 3, "class 'dog' has 1 usable picture", "at least 2", "not a picture", "Add pictures")


def test_a_manifest_that_is_none_is_3(tell: Tell, pets: Path, isolated_home: Path) -> None:
    assert tell("collect", "kept", "cat", "dog", "--source", "folder:pets").code == 0
    manifest = isolated_home / "home" / "datasets" / "kept" / "manifest.sqlite"
    for path in manifest.parent.glob("manifest.sqlite*"):
        path.unlink()
    manifest.write_bytes(b"no database" * 1000)
    refused(tell("curate", "kept"), 3, f"{manifest} cannot be used as a manifest", "Restore or delete it")


@pytest.mark.usefixtures("pets")
def test_collecting_ends_with_a_table_of_every_reason_and_a_line_for_each_source_that_failed(
    tell: Tell, isolated_home: Path
) -> None:
    (isolated_home / "pets" / "cat" / "text.jpg").write_bytes(b"no picture")
    (isolated_home / "pets" / "cat" / "empty.jpg").write_bytes(b"")
    (isolated_home / "pets" / "cat" / "nothing.jpg").write_bytes(b"")
    told = tell("collect", "kept", "cat", "dog", "--source", "folder:pets", "--source", "gallery", "--per-class", "99")
    assert told.code == 0
    for shown in ("found", "kept", "2 the file is empty", "1 not a picture"):
        assert shown in told.out
    problems = [line for line in told.err.splitlines() if line.startswith("problem")]
    assert [line.split(": ")[:2] for line in problems] == [["problem 1", "cat"], ["problem 2", "dog"]]
    assert all("/nonexistent" in line for line in problems)


@pytest.mark.usefixtures("pets")
def test_no_browser_is_4(tell: Tell) -> None:
    told = tell("create", "animals", "cat", "dog", "--source", "gallery", "--yes")
    refused(told, 4, "/nonexistent", "apt-get install chromium")


@pytest.mark.usefixtures("pets")
def test_no_weights_are_5_with_three_ways_out(tell: Tell) -> None:
    told = tell("train", "pets", "--name", "x", "--backbone", "resnet50")
    refused(told, 5, "ResNet50", "--weights PATH", "resnet50-11ad3fa6.pth", "--backbone efficientnet_lite0")


@pytest.mark.usefixtures("pets")
def test_weights_that_are_not_there_are_noticed_before_anything_is_collected(tell: Tell, isolated_home: Path) -> None:
    told = tell("create", "p", "cat", "dog", "--source", "folder:pets", "--yes", "--weights", "nowhere.pth")
    refused(told, 5, "there is no weights file nowhere.pth", "--weights")
    assert not (isolated_home / "home").exists()


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize("words", [*MAKING, "collect x cat dog --source folder:pets", "up --check", "web", "worker"])
def test_a_home_that_cannot_be_written_is_1(
    tell: Tell, isolated_home: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    (isolated_home / "file").touch()
    monkeypatch.setenv("TELLAPART_HOME", str(isolated_home / "file" / "home"))
    refused(tell(*words.split()), 1, "cannot write", str(isolated_home / "file"), "Check the folder")


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize("words", [*MAKING, "worker"])
def test_a_model_store_that_cannot_be_written_is_noticed_before_any_work(
    tell: Tell, isolated_home: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    store = isolated_home / "bentoml"
    for name in ("bentos", "envs", "tmp"):
        (store / name).mkdir()
    monkeypatch.setattr(
        "tellapart.promotions.why_unwritable", lambda path: "read-only" if path.is_relative_to(store) else ""
    )
    told = tell(*words.split())
    refused(told, 1, f"the model store at {store} cannot be used: read-only", "Set BENTOML_HOME")
    assert (told.err.count("\n"), (isolated_home / "home").exists()) == (1, False)


@pytest.mark.usefixtures("pets")
def test_a_misspelt_class_does_not_keep_the_name(tell: Tell, isolated_home: Path) -> None:
    assert tell("collect", "p", "cat", "dgo", "--source", "folder:pets").code == 4
    assert tell("collect", "p", "cat", "dog", "--source", "folder:pets").code == 0
    dataset = Dataset.open(isolated_home / "home" / "datasets" / "p")
    assert [c.name for c in dataset.classes] == ["cat", "dog"]
    other = tell("create", "p", "cat", "bird", "--source", "folder:pets", "--yes")
    refused(other, 2, "the data set p exists with other classes (dog)", "Choose another name")


def test_a_folder_of_ones_own_is_never_written_into(tell: Tell, pets: Path) -> None:
    before = sorted(pets.rglob("*"))
    refused(tell("collect", "./pets", "cat", "dog", "--source", "folder:pets"), 2, "not a data set", "Choose another")
    assert tell("collect", "pets", "cat", "dog", "--source", "folder:pets").code == 0
    assert sorted(pets.rglob("*")) == before


def test_nothing_classified_is_3(tell: Tell, classifier: str, isolated_home: Path) -> None:
    (isolated_home / "text.jpg").write_bytes(b"no picture")
    told = tell("predict", classifier, "text.jpg", "missing.jpg")
    assert told.code == 3
    assert "none of 2 inputs could be classified" in told.err
    assert (
        "error: the picture could not be classified. The reason is in its row"
        in tell("predict", "pets", "text.jpg").err
    )
    assert "the file is not a picture" in told.out
