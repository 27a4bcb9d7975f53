"""Evaluation on folders of class folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tellapart.errors import DataError, MissingError
from tellapart.progress import silent
from tellapart.tables import evaluated
from training.evaluate import evaluate

MakeShape = Callable[[int, int], bytes]


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
    result = evaluate(trained.classifier, folder, tmp_path / "cache", silent)
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


def test_again_from_the_cache_is_the_same(trained: Any, folder: Path, tmp_path: Path) -> None:
    one, two = (evaluate(trained.classifier, folder, tmp_path / "cache", silent) for _ in range(2))
    assert one == two


def test_one_class_folder_is_enough(trained: Any, folder: Path, tmp_path: Path, make_shape: MakeShape) -> None:
    (tmp_path / "one" / "Red Disc").mkdir(parents=True)
    (tmp_path / "one" / "Red Disc" / "a.png").write_bytes(make_shape(0, 90))
    assert evaluate(trained.classifier, tmp_path / "one", tmp_path / "cache", silent)["n"] == 1


def test_folders_that_cannot_be_used(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no folder"):
        evaluate(trained.classifier, tmp_path / "nowhere", tmp_path / "cache", silent)
    (tmp_path / "set" / "cats").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no folder named like a class.*red disc.*It has: cats"):
        evaluate(trained.classifier, tmp_path / "set", tmp_path / "cache", silent)
    (tmp_path / "set" / "test" / "red disc").mkdir(parents=True)
    with pytest.raises(DataError, match=r"Give the part to measure on: .*set/test"):
        evaluate(trained.classifier, tmp_path / "set", tmp_path / "cache", silent)
    (tmp_path / "set" / "red disc").mkdir()
    with pytest.raises(DataError, match="no readable picture"):
        evaluate(trained.classifier, tmp_path / "set", tmp_path / "cache", silent)


def test_folders_of_other_classes_are_left_out_and_said(
    trained: Any, folder: Path, tmp_path: Path, make_shape: MakeShape
) -> None:
    for name in ("other/below/1.png", "other/2.png", "other/.hidden.png", ".git/3.png", "loose.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(make_shape(0, 7))
    result = evaluate(trained.classifier, folder, tmp_path / "cache", silent)
    assert result["left_out"] == {"other": 2, "yellow star": 0}
    assert "left out, as the classifier has no such class: other (2 files)" in evaluated(result)


def test_pictures_it_learned_from_are_counted(trained: Any, tmp_path: Path) -> None:
    known, new = trained.dataset.samples()[0], trained.dataset.samples()[-1]
    place = tmp_path / "set" / trained.info.classes[known.class_index].slug
    place.mkdir(parents=True)
    for i, sample in enumerate((known, new)):
        (place / f"{i}.png").write_bytes(sample.path.read_bytes())
    result = evaluate(trained.classifier, tmp_path / "set", tmp_path / "cache", silent, {known.sha256, "other"})
    assert (result["n"], result["learned_from"]) == (2, 1)
