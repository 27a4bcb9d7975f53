"""Class names that break things elsewhere, from a folder through training, report and answers into every export."""

import csv
import io
import json
import runpy
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cli
from tellapart.dataset import Dataset
from tellapart.names import parse_class_names
from tellapart.store import StoredModel, resolve
from training.export_data import check_pictures

NAMES = (
    *("=1+1", "+cat", "-dog", "@sum(a1)", "it's & 'it'", "50% ; $(id)", "{{ 7+7 }} {0} %s", "[red]cat"),
    *("CON", "none", "😀 & 🦁", "ワニ", "قط שלום", "e\u0301te\u0301", "long" * 20),
)
CLASSES = tuple(sorted(c.name for c in parse_class_names(NAMES)))
FORMULA = ("=", "+", "-", "@")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of this module's own, which commands run in."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    folder = tmp_path_factory.mktemp("nasty")
    (folder / "bentoml" / "models").mkdir(parents=True)
    BentoMLContainer.model_store.set(ModelStore(str(folder / "bentoml" / "models")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLAPART_HOME", str(folder / "home"))
        patch.setenv("BENTOML_HOME", str(folder / "bentoml"))
        patch.chdir(folder)
        yield folder
    BentoMLContainer.model_store.reset()


@pytest.fixture(scope="module")
def model(home: Path, make_photo: Callable[..., bytes]) -> StoredModel:
    """A classifier of all these classes, made with the command line from a folder of folders of these names."""
    for i, name in enumerate(NAMES):
        (home / "folder" / name).mkdir(parents=True)
        for j in range(3):
            (home / "folder" / name / f"{j}.png").write_bytes(make_photo(100 * i + j))
    assert cli.main(["collect", "nasty", "--source", "folder:folder", "--", *NAMES]) == 0
    options = ("--backbone", "resnet18", "--weights", "none", "--mode", "head", "--device", "cpu")
    assert cli.main(["train", "nasty", "--name", "nasty", *options]) == 0
    return resolve("nasty")


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four pictures are compared in place of 32."""
    monkeypatch.setattr("training.export.check_pictures", lambda dataset: check_pictures(dataset, 4))


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out


def cells(text: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text)) for cell in row]


def test_folders_inside_have_names_that_every_system_takes(model: StoredModel, home: Path) -> None:
    dataset = Dataset.open(home / "home" / "datasets" / "nasty")
    assert sorted(c.name for c in dataset.classes) == list(CLASSES)
    slugs = [c.slug for c in dataset.classes]
    assert len({slug.casefold() for slug in slugs}) == len(NAMES)
    assert all(slug.replace("-", "a").isalnum() and slug.isascii() and len(slug) <= 91 for slug in slugs)
    assert not {"con", "none"} & set(slugs)
    assert sorted(model.info.class_names) == list(CLASSES)


def test_the_report_shows_them_as_text(model: StoredModel) -> None:
    from html import escape

    report = (model.path / "report" / "index.html").read_text()
    for name in CLASSES:
        assert any(form in report for form in (escape(name), escape(name).replace("&#x27;", "&#39;"))), name
    assert "<red>" not in report


def test_answers_name_them_in_every_form(model: StoredModel, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = "folder/=1+1"
    answers = json.loads(told(capsys, "predict", model.tag, few, "--json", "-"))
    assert {p["class"] for row in answers for p in row["predictions"]} <= set(CLASSES)
    lines = told(capsys, "predict", model.tag, few).splitlines()
    rows = list(csv.DictReader(io.StringIO(told(capsys, "predict", model.tag, few, "--csv", "-"))))
    assert len(answers) == len(lines) == len(rows) == 3
    for answer, line, row in zip(answers, lines, rows, strict=True):
        assert line.startswith(f"{answer['path']}: ")
        assert answer["top"] in line
        assert row["class"] == ("'" if answer["top"].startswith(FORMULA) else "") + answer["top"]
    assert told(capsys, "models", "show", model.tag).count("[red]cat") == 1
    for name in ("-dog", "@sum(a1)"):
        shutil.copytree(home / "folder" / name, home / "few" / name)
    measured = json.loads(told(capsys, "evaluate", model.tag, "few", "--json", "-"))
    assert sorted(measured["per_class"]) == list(CLASSES)
    assert (measured["n"], measured["left_out"]) == (6, {})


def names_in_pt(out: Path, home: Path) -> list[str]:
    said = json.loads((out / "model.json").read_text(encoding="utf-8"))
    return [c["name"] for c in said["classes"]]


def names_in_onnx(out: Path, _: Path) -> list[str]:
    import onnxruntime

    session = onnxruntime.InferenceSession(next(out.glob("*.onnx")), providers=["CPUExecutionProvider"])
    return list(json.loads(session.get_modelmeta().custom_metadata_map["labels"]))


def names_in_torchscript(out: Path, _: Path) -> list[str]:
    with zipfile.ZipFile(next(out.glob("*.ts"))) as archive:
        (place,) = (name for name in archive.namelist() if name.endswith("extra/labels"))
        return list(json.loads(archive.read(place)))


def names_in_zip(out: Path, home: Path) -> list[str]:
    with zipfile.ZipFile(next(out.glob("*.zip"))) as archive:
        archive.extractall(home / "unpacked")
        tables = [archive.read(f"dataset/{name}.csv").decode() for name in ("manifest", "ATTRIBUTION")]
        said = json.loads(archive.read("model/model.json"))
    assert not [cell for text in tables for cell in cells(text) if cell.startswith(FORMULA)]
    folders = {place.name for place in (home / "unpacked" / "dataset" / "images").iterdir()}
    assert folders == {c["slug"] for c in said["classes"]}
    return [c["name"] for c in said["classes"]]


KINDS: dict[str, Any] = {
    "pt": names_in_pt, "onnx": names_in_onnx, "torchscript": names_in_torchscript, "zip": names_in_zip,
}  # fmt: skip


@pytest.mark.usefixtures("few_pictures")
@pytest.mark.parametrize("kind", KINDS)
def test_every_export_answers_the_same_and_carries_them(
    kind: str, model: StoredModel, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "export", model.tag, "--format", kind, "--out", kind)
    parity = said.splitlines()[-1]
    print(kind, parity)
    assert float(parity.partition("differ by ")[2].split()[0]) <= 1e-4
    assert KINDS[kind](home / kind, home) == model.info.class_names
    if kind != "zip":
        labels = list(csv.reader(io.StringIO((home / kind / "labels.csv").read_text(encoding="utf-8"))))
        assert not [cell for row in labels for cell in row if cell.startswith(FORMULA)]
        assert len(labels) - 1 == len(NAMES)


@pytest.mark.usefixtures("few_pictures")
def test_the_exported_script_prints_them_and_a_line_for_what_is_no_picture(
    model: StoredModel, home: Path, make_photo: Callable[..., bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "export", model.tag, "--format", "pt", "--out", "script")
    main = runpy.run_path(str(home / "script" / "run.py"), run_name="exported")["main"]
    broken = {"empty.png": b"", "text.jpg": b"no picture", "cut.png": make_photo(1)[:300]}
    for name, data in broken.items():
        (home / name).write_bytes(data)
    good = "folder/=1+1/0.png"
    assert main([*broken, "missing.png", ".", good]) == 3
    some = capsys.readouterr()
    assert [line.split(": ")[:2] for line in some.err.splitlines()] == [
        ["error", name] for name in (*broken, "missing.png", ".")
    ]
    path, top, found = some.out.rstrip("\n").split("\t")
    assert (path, list(json.loads(found))) == (good, model.info.class_names)
    assert top == max(json.loads(found), key=json.loads(found).__getitem__)
    assert main([good]) == 0
    capsys.readouterr()
    assert main([]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
