"""Evaluation on folders of class folders."""

from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import pytest

from tellapart.errors import DataError, MissingError
from tellapart.names import ClassName
from tellapart.progress import Progress, silent
from tellapart.tables import evaluated
from training.class_folders import find_class_folders
from training.evaluate import evaluate

MakeShape = Callable[[int, int], bytes]


def measured(classifier: Any, folder: Path, cache: Path, learned: Set[str] = frozenset()) -> dict[str, Any]:
    return evaluate(classifier, find_class_folders(folder, classifier.info.classes), cache, silent, learned)


@pytest.fixture
def folder(tmp_path: Path, make_shape: MakeShape) -> Path:
    """Three pictures a class under name or slug, two of them in the wrong folder, and two files that are none."""
    for name, kinds in {"red disc": (0, 0, 0), "green-box": (1, 1, 1), "blue cross": (2, 0, 0)}.items():
        (tmp_path / "set" / name / "below").mkdir(parents=True)
        for i, kind in enumerate(kinds):
            (tmp_path / "set" / name / "below" / f"{i}.png").write_bytes(make_shape(kind, 50 + i))
    (tmp_path / "set" / "red disc" / "notes.txt").write_text("not a picture")
    (tmp_path / "set" / "red disc" / "empty.png").touch()
    (tmp_path / "set" / "red disc" / ".hidden.png").write_text("passed over")
    (tmp_path / "set" / "yellow star").mkdir()
    return tmp_path / "set"


def test_counts_by_hand(trained: Any, folder: Path, tmp_path: Path) -> None:
    result = measured(trained.classifier, folder, tmp_path / "cache")
    assert set(result) == {
        "n",
        "accuracy",
        "balanced_accuracy",
        "ece",
        "per_class",
        "confusion",
        "skipped",
        "learned_from",
        "left_out",
    }
    assert result["left_out"] == {"yellow star": 0}
    assert (result["n"], result["skipped"]) == (9, 2)
    assert result["confusion"] == [[3, 0, 0], [0, 3, 0], [2, 0, 1]]
    assert result["accuracy"] == pytest.approx(7 / 9)
    assert result["balanced_accuracy"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert result["per_class"]["red disc"] == {"precision": 0.6, "recall": 1.0, "f1": 0.75, "support": 3}


def test_why_files_were_skipped_is_said(trained: Any, folder: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    folders = find_class_folders(folder, trained.classifier.info.classes)
    evaluate(trained.classifier, folders, tmp_path / "cache", seen.append)
    (note,) = [p.note for p in seen if p.stage == "skipped"]
    assert set(note.split("; ")) == {"1 because the file is not a picture", "1 because the file is empty"}


def test_again_from_the_cache_is_the_same(trained: Any, folder: Path, tmp_path: Path) -> None:
    one, two = (measured(trained.classifier, folder, tmp_path / "cache") for _ in range(2))
    assert one == two


def test_one_class_folder_is_enough(trained: Any, folder: Path, tmp_path: Path, make_shape: MakeShape) -> None:
    (tmp_path / "one" / "Red Disc").mkdir(parents=True)
    (tmp_path / "one" / "Red Disc" / "a.png").write_bytes(make_shape(0, 90))
    assert measured(trained.classifier, tmp_path / "one", tmp_path / "cache")["n"] == 1


def test_folders_that_cannot_be_used(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no folder"):
        measured(trained.classifier, tmp_path / "nowhere", tmp_path / "cache")
    (tmp_path / "set" / "cats").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no folder named like a class.*red disc.*It has: cats"):
        measured(trained.classifier, tmp_path / "set", tmp_path / "cache")
    (tmp_path / "set" / "test" / "red disc").mkdir(parents=True)
    with pytest.raises(DataError, match=r"Give the part to measure on: .*set/test"):
        measured(trained.classifier, tmp_path / "set", tmp_path / "cache")
    (tmp_path / "set" / "red disc").mkdir()
    with pytest.raises(DataError, match="no readable picture"):
        measured(trained.classifier, tmp_path / "set", tmp_path / "cache")


def test_folders_of_other_classes_are_left_out_and_said(
    trained: Any, folder: Path, tmp_path: Path, make_shape: MakeShape
) -> None:
    for name in ("other/below/1.png", "other/2.png", "other/.hidden.png", ".git/3.png", "loose.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(make_shape(0, 7))
    result = measured(trained.classifier, folder, tmp_path / "cache")
    assert result["left_out"] == {"other": 2, "yellow star": 0}
    assert "left out, as the classifier has no such class: other (2 files)" in evaluated(result)
    assert f"confidence off by {result['ece']:.3f} on average" in evaluated(result)


def test_an_older_slug_is_found_by_the_name_and_by_itself(tmp_path: Path) -> None:
    """A folder called `con` has another slug today than in the bundle."""
    for name in ("Con", "aux", "sea lion", "nul"):
        (tmp_path / name).mkdir()
    classes = [ClassName("con", "con"), ClassName("Aux!", "aux"), ClassName("Sea  Lion", "sea-lion")]
    found = find_class_folders(tmp_path, classes)
    assert {path.name: index for path, index in found.index.items()} == {"Con": 0, "aux": 1, "sea lion": 2}
    assert found.left_out == {"nul": 0}


def test_folders_are_looked_through_once(trained: Any, folder: Path, tmp_path: Path) -> None:
    found = find_class_folders(folder, trained.info.classes)
    (folder / "yellow star").rmdir()
    assert evaluate(trained.classifier, found, tmp_path / "cache", silent)["left_out"] == {"yellow star": 0}


def test_pictures_it_learned_from_are_counted(trained: Any, tmp_path: Path) -> None:
    known, new = trained.dataset.samples()[0], trained.dataset.samples()[-1]
    place = tmp_path / "set" / trained.info.classes[known.class_index].slug
    place.mkdir(parents=True)
    for i, sample in enumerate((known, new)):
        (place / f"{i}.png").write_bytes(sample.path.read_bytes())
    result = measured(trained.classifier, tmp_path / "set", tmp_path / "cache", {known.sha256, "other"})
    assert (result["n"], result["learned_from"]) == (2, 1)
