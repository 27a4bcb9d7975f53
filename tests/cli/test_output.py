"""Where commands write, and what: tables, JSON, files, pipes, and places that take nothing."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tellapart.bundle import BundleInfo
from tellapart.none_of_these import ALWAYS_ANSWERS
from tellapart.store import new_model
from tests.cli.helpers import METRICS, Tell, refused

ROOT = Path(__file__).resolve().parents[2]


def test_where_nobody_reads_nothing_is_said(isolated_home: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        told = subprocess.run(
            [sys.executable, "-m", "cli", "models", "list"], cwd=ROOT, stdout=nobody, stderr=subprocess.PIPE, text=True,
            check=False, timeout=120,
        )  # fmt: skip
    assert (told.returncode, told.stderr.strip()) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_under_the_output_is_one_line(isolated_home: Path) -> None:
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "cli", "models", "list", "--json", "-"], cwd=ROOT, stdout=full,
            stderr=subprocess.PIPE, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert told.returncode == 1
    assert told.stderr.splitlines()[0].startswith("error: No space left on device: the standard output")


def test_a_pipe_is_written_into_and_stays_one(tell: Tell, classifier: str, isolated_home: Path) -> None:
    pipe = isolated_home / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(reading) as written:
        assert tell("models", "list", "--json", str(pipe)).code == 0
        assert json.loads(written.read())[0]["tag"] == classifier
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="open files have no paths here")
def test_a_pipe_of_the_shell_is_written_into(tell: Tell, classifier: str) -> None:
    """As of `--json >(command)`: in its folder no file can be made."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as written:
        told = tell("models", "list", "--json", f"/dev/fd/{writing}")
        os.close(writing)
        assert (told.code, told.err) == (0, "")
        assert json.loads(written.read())[0]["tag"] == classifier


def test_an_export_of_a_data_set_that_is_elsewhere_is_3(tell: Tell, classifier: str) -> None:
    told = tell("export", "pets", "--format", "zip", "--out", "out")
    refused(told, 3, f"the data set 'pets' of {classifier} is not on this machine", "--format pt, onnx or torchscript")


def test_an_export_says_where_and_how_near(tell: Tell, classifier: str, isolated_home: Path) -> None:
    told = tell("export", "pets", "--format", "pt", "--out", "out")
    stem = classifier.replace(":", "-")
    *files, last = told.out.splitlines()
    assert [Path(f).name for f in files] == [f"{stem}.pt", "labels.csv", "model.json", "run.py"]
    assert all(Path(f).is_file() for f in files)
    assert last.startswith("the same 32 pictures: probabilities differ by ")
    assert told.code == 0


def test_json_is_one_document_and_nothing_else(tell: Tell, pets: Path, classifier: str, isolated_home: Path) -> None:
    with zipfile.ZipFile(isolated_home / "more.zip", "w") as archive:
        archive.writestr("a.png", (pets / "cat" / "0.png").read_bytes())
        archive.writestr("b.png", b"no picture")
    listed = tell("models", "list", "--json", "-")
    shown = tell("models", "show", "pets", "--json", "-")
    predicted = tell("predict", "pets", str(pets), "more.zip", "gone.png", "--json", "-")
    measured = tell("evaluate", "pets", "pets", "--json", "-")
    assert [m["tag"] for m in json.loads(listed.out)] == [classifier]
    assert json.loads(shown.out)["tag"] == classifier
    assert [row.get("top") for row in json.loads(predicted.out)] == ["cat"] * 7 + [None] * 2
    assert (json.loads(measured.out)["n"], json.loads(measured.out)["accuracy"]) == (6, 0.5)
    assert [t.code for t in (listed, shown, predicted, measured)] == [0, 0, 3, 0]
    assert predicted.errors[-1].startswith("error: 2 of 9 inputs could not be classified")
    assert tell("predict", "pets", str(pets), "--csv", "answers.csv").errors[-1] == "wrote 6 rows to answers.csv"


def test_a_classifier_that_never_says_none_is_shown_so(
    tell: Tell, isolated_home: Path, tiny_bundle: Callable[..., BundleInfo]
) -> None:
    for name, threshold in (("never", None), ("sometimes", 0.4)):
        with new_model(name) as (folder, _):
            tiny_bundle(folder, metrics=METRICS, reject_threshold=threshold)
    with new_model("counted") as (folder, _):
        tiny_bundle(folder, metrics=METRICS | {"none_of_these_pictures": 39})
    assert "(39 held back from learning; at least 40 are needed)" in tell("models", "show", "counted").out
    assert ALWAYS_ANSWERS in tell("models", "show", "never").out
    assert ALWAYS_ANSWERS not in tell("models", "show", "sometimes").out


@pytest.mark.parametrize(
    ("pictures", "said"),
    [(8, "8 of these 40 pictures are almost certainly wrong themselves; without them 0.900"),
     (1, "1 of these 40 pictures is almost certainly wrong itself; without it 0.900")],
)  # fmt: skip
def test_pictures_that_judge_and_are_probably_wrong_stand_below_the_accuracy(
    tell: Tell, isolated_home: Path, tiny_bundle: Callable[..., BundleInfo], pictures: int, said: str
) -> None:
    suspected = {"pictures": pictures, "right": 0, "without": {"share": 0.9}}
    with new_model("doubtful") as (folder, _):
        tiny_bundle(folder, metrics=METRICS | {"n": 40, "suspected": suspected})
    lines = tell("models", "show", "doubtful").out.splitlines()
    assert said == lines[next(i for i, line in enumerate(lines) if line.startswith("accuracy: ")) + 1]


def test_where_no_screen_is_no_table_is_cut(tell: Tell, tiny_bundle: Callable[..., BundleInfo]) -> None:
    name = "a-name-that-is-as-long-as-a-name-may-be-which-is-sixty-three-ab"
    with new_model(name) as (folder, version):
        tiny_bundle(folder, file=b"not loaded", metrics=METRICS)
    told = tell("models", "list")
    (row,) = [line for line in told.out.splitlines() if f"{name}:{version}" in line]
    assert "0.900" in row
    assert "…" not in told.out
    assert "T" in row.split("│")[-2]  # the whole time it was made
