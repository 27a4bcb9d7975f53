"""The time that a training has taken, as its next process finds it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import cli
from tellapart.files import write_bytes
from tellapart.folders import open_folder
from tellapart.progress import Progress
from training.candidates import spent_file
from training.schedule import Budget
from training.spent import noting_time, spent_before


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_second_it_is_noted_and_every_report_goes_on(tmp_path: Path) -> None:
    clock, file, seen = Clock(), tmp_path / "cache" / "spent.json", []
    noted = noting_time(seen.append, Budget(60.0, 20.0, clock, began=90.0), file, "pets")
    noted(Progress("features", 1))
    assert (spent_before(file, "pets"), spent_before(file, "flowers")) == (30.0, 0.0)
    clock.now += 0.9
    noted(Progress("features", 2))
    assert spent_before(file, "pets") == 30.0
    clock.now += 0.1
    noted(Progress("features", 3))
    assert spent_before(file, "pets") == 31.0
    assert [p.done for p in seen] == [1, 2, 3]


@pytest.mark.parametrize("found", [None, "", "7", "[]", "{}", json.dumps({"identity": "pets", "seconds": None})])
def test_a_file_that_is_not_there_or_broken_says_nothing(tmp_path: Path, found: str | None) -> None:
    file = tmp_path / "spent.json"
    if found is not None:
        file.write_text(found)
    assert spent_before(file, "pets") == 0.0


def test_where_it_cannot_be_noted_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen: list[Progress] = []
    noting_time(seen.append, Budget(None), tmp_path / "file" / "spent.json", "pets")(Progress("features"))
    assert len(seen) == 1


@pytest.mark.parametrize(("mode", "left"), [("finetune", False), ("head", True)])
def test_only_a_training_that_fine_tuning_was_asked_of_ends_the_count(
    tmp_path: Path, isolated_home: Path, make_photo: Callable[[int], bytes], mode: str, left: bool
) -> None:
    """Two pictures a class are too few to fine-tune, so that a head learns; what it took is not counted once more."""
    for number in range(4):
        folder = tmp_path / "pets" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(make_photo(number))
    killed = spent_file(open_folder(tmp_path / "pets", isolated_home / "home"))
    write_bytes(killed, b"{}")
    named = ["--name", mode, "--mode", mode, "--backbone", "efficientnet_lite0", "--device", "cpu"]
    assert cli.main(["train", str(tmp_path / "pets"), *named]) == 0
    assert killed.exists() == left
