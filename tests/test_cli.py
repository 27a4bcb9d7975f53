"""Bad input for the command line: the exit code, one line that helps, and nothing else."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import cli
import workflow
from tellapart.bundle import BundleInfo
from tellapart.dataset import Dataset
from tellapart.errors import TellapartError
from tellapart.progress import silent
from tellapart.store import new_model
from tellapart.wording import ALWAYS_ANSWERS
from training.fingerprint import fingerprint
from training.options import TrainingOptions

ROOT = Path(__file__).resolve().parent.parent
MakePicture = Callable[..., bytes]
Tell = Callable[..., "Told"]
METRICS = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "protocol": "test", "n": 9}


@dataclass(frozen=True)
class Told:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr but progress, which is a line a stage where nobody watches."""
        return [line for line in self.err.splitlines() if not line.startswith(("collect ", "read pictures:", "curate"))]


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


def fill(folder: Path, classes: dict[str, int], make_photo: MakePicture) -> Path:
    for number, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i}.png").write_bytes(make_photo(100 * number + i))
    return folder


def refused(told: Told, code: int, *parts: str) -> None:
    """One line on stderr that has these parts, in order, and nothing on stdout."""
    assert (told.code, told.out) == (code, "")
    (line,) = told.errors
    assert line.startswith("error: ")
    where = 0
    for part in parts:
        assert part in line[where:], line
        where = line.index(part, where)


CREATE = ("--source", "folder:pets", "--yes")
USAGE = [
    (("create", "pets", "cat", "dog", "--source", "nowhere", "--yes"), ["there is no source 'nowhere'", "gallery"]),
    (("create", "pets", "cat", "dog", "--source", "folder", "--yes"), ["source 'folder' needs a path", "folder:PATH"]),
    (("create", "pets", "cat", *CREATE), ["1 class name given", "Name at least two classes"]),
    (("create", "pets", *CREATE), ["Missing argument", "See: tellapart create --help"]),
    (("create", "pets", "Big Cat", "big-cat", *CREATE), ["'Big Cat' and 'big-cat' are the same", "Rename or remove"]),
    (("create", "pets", "../cat", "dog", *CREATE), ["class name '../cat' contains '/'", "Use letters"]),
    (("create", "pets", "<b>cat</b>", "dog", *CREATE), ["contains '/' '<' '>'", "Use letters"]),
    (("create", "pets", "cat\x1b[31m", "dog", *CREATE), [r"contains '\x1b'", "Use letters"]),
    (("create", "pets", "c" * 81, "dog", *CREATE), ["too long", "1 to 80 characters"]),
    (("create", "../pets", "cat", "dog", *CREATE), ["classifier name '../pets' cannot be used", "lower-case letters"]),
    (("create", "pets", "cat", "dog", "--backbone", "vgg"), ["--backbone", "'vgg'", "See: tellapart create --help"]),
    (("create", "pets", "cat", "dog", "--per-class", "1", "--yes"), ["--per-class", "See: tellapart create --help"]),
    (("collect", "pets", "cat", "dog", "--since", "2026-13-01"), ["'2026-13-01'", "See: tellapart collect --help"]),
    (("create", "pets", "cat", "dog", "--since", "2999-01-01"), ["2999-01-01 is still to come", "tellapart create"]),
    (("collect", "pets", "cat", "dog", "--since", "2026-01-01"), ["'openverse' cannot be asked only", "inaturalist"]),
    (("train", "pets"), ["Missing option '--name'", "See: tellapart train --help"]),
    (("train", "pets", "--name", "A B"), ["classifier name 'A B' cannot be used"]),
    (("export", "pets", "--out", "o"), ["Missing option '--format'", "See: tellapart export --help"]),
    (("export", "pets", "--format", "h5", "--out", "o"), ["'h5'", "See: tellapart export --help"]),
    (("nosuch",), ["No such command 'nosuch'", "See: tellapart --help"]),
    (("models", "show"), ["Missing argument 'TAG'", "See: tellapart models show --help"]),
    (("doctor", "--nosuch"), ["No such option", "--nosuch", "See: tellapart doctor --help"]),
]  # fmt: skip
NO_DATA = [
    (("train", "nowhere", "--name", "x"), ["there is no data set 'nowhere'", "Give a data set's name"]),
    (("curate", "nowhere"), ["there is no data set 'nowhere'", "Give a data set's name"]),
    (("audit", "nowhere"), ["there is no data set 'nowhere'", "Give a data set's name"]),
    (("audit", "pets", "--answers", "nowhere.json"), ["nowhere.json cannot be read", "Check the path"]),
    (("collect", "x", "cat", "dog", "--source", "folder:nowhere"), ["there is no folder", "nowhere"]),
    (("collect", "x", "cat", "dog", "--source", "urls:nowhere"), ["cannot read", "nowhere"]),
    (("collect", "x", "cat", "dog", "--source", "site:nowhere"), ["cannot read", "nowhere"]),
    (("create", "x", "cat", "dog", "--source", "folder:nowhere", "--yes"), ["there is no folder", "nowhere"]),
    (("users", "remove", "nobody"), ["there is no user 'nobody'", "tellapart users list"]),
    (("evaluate", "pets", "nowhere"), ["there is no folder nowhere", "one folder a class"]),
    (("evaluate", "pets", "."), [". has no folder named like a class of this classifier (cat, dog)", "It has: "]),
    (("predict", "pets", "nowhere", "missing.zip"), ["there is no file or folder nowhere, missing.zip"]),
]
MISSING = [
    (("models", "show", "nobody"), ["there is no classifier 'nobody'", "There are: none yet"]),
    (("models", "promote", "nobody:v1"), ["there is no classifier 'nobody:v1'"]),
    (("models", "rollback", "nobody"), ["there is no classifier 'nobody'"]),
    (("evaluate", "nobody", "pets"), ["there is no classifier 'nobody'"]),
    (("predict", "nobody", "x.jpg"), ["there is no classifier 'nobody'"]),
    (("models", "delete", "nobody:v1"), ["there is no classifier 'nobody:v1'"]),
    (("export", "nobody", "--format", "pt", "--out", "o"), ["there is no classifier 'nobody'", "There are: none yet"]),
]


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize(("words", "parts"), USAGE)
def test_wrong_usage_is_2(tell: Tell, isolated_home: Path, words: tuple[str, ...], parts: list[str]) -> None:
    refused(tell(*words), 2, *parts)
    assert not (isolated_home / "home").exists()


@pytest.mark.usefixtures("pets", "classifier")
@pytest.mark.parametrize(("words", "parts"), NO_DATA)
def test_data_that_is_not_there_is_3(tell: Tell, words: tuple[str, ...], parts: list[str]) -> None:
    refused(tell(*words), 3, *parts)


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize(("words", "parts"), MISSING)
def test_what_is_not_there_is_5(tell: Tell, words: tuple[str, ...], parts: list[str]) -> None:
    refused(tell(*words), 5, *parts)


def test_a_folder_with_one_class_is_3(tell: Tell, isolated_home: Path, make_photo: MakePicture) -> None:
    fill(isolated_home / "one", {"cat": 3}, make_photo)
    refused(tell("train", "one", "--name", "x"), 3, "holds 1 class folders, expected at least 2", "Put the pictures")


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
@pytest.mark.parametrize("command", ["create", "collect"])
def test_a_home_that_cannot_be_written_is_1(
    tell: Tell, isolated_home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (isolated_home / "file").touch()
    monkeypatch.setenv("TELLAPART_HOME", str(isolated_home / "file" / "home"))
    yes = ("--yes",) if command == "create" else ()
    told = tell(command, "x", "cat", "dog", "--source", "folder:pets", *yes)
    refused(told, 1, "cannot write", str(isolated_home / "file"), "Check the folder")


NO_PLACE = [
    (("export", "pets", "--format", "pt", "--out", "file/out"), ["'--out': cannot write file/out", "is no folder"]),
    (("export", "pets", "--format", "pt", "--out", "file"), ["'--out': cannot write file", "is no folder"]),
    (("predict", "pets", "pets", "--json", "file/x"), ["'--json': cannot write file/x", "is no folder"]),
    (("predict", "pets", "pets", "--csv", "pets"), ["'--csv': cannot write pets: it is a folder"]),
    (("predict", "pets", "pets", "--json", "-", "--csv", "-"), ["both write on the standard output", "Name a file"]),
    (("evaluate", "pets", "pets", "--json", ""), ["'--json': cannot write"]),
    (("models", "list", "--json", "pets"), ["'--json': cannot write pets: it is a folder"]),
    (("models", "show", "pets", "--json", "pets"), ["'--json': cannot write pets: it is a folder"]),
    (("audit", "pets", "--json", "pets"), ["'--json': cannot write pets: it is a folder"]),
]


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, after the words that lead to it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name), command


COMMANDS = dict(commands(cli.cli))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_option_that_there_is_not_is_2_everywhere(tell: Tell, words: tuple[str, ...]) -> None:
    refused(tell(*words, "--nosuch"), 2, "No such option", "--nosuch", f"See: tellapart {' '.join(words)} --help")


@pytest.mark.parametrize(
    ("cases", "named"),
    [
        (NO_DATA, {"dataset", "folder", "paths"}),
        (MISSING, {"tag"}),
        (NO_PLACE, {"json_out", "csv_out", "out"}),
    ],
)
def test_the_table_of_exit_codes_is_tried_on_every_command_that_it_holds_for(
    cases: list[tuple[tuple[str, ...], list[str]]], named: set[str]
) -> None:
    concerned = [words for words, command in COMMANDS.items() if named & {p.name for p in command.params}]
    tried = [words for words in concerned if any(case[: len(words)] == words for case, _ in cases)]
    assert (tried, len(tried) >= 3) == (concerned, True)


def test_the_documented_exit_codes_are_those_of_the_errors() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "programs.md").read_text(), re.MULTILINE)
    kinds = [TellapartError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert [int(row) for row in rows] == [0, *sorted({kind.exit_code for kind in kinds}), 130]


@pytest.mark.usefixtures("pets")
def test_whom_nobody_can_ask_is_told_what_to_give(tell: Tell, classifier: str) -> None:
    refused(tell("users", "add", "ann"), 2, "there is no terminal to ask for the password", "--password-file FILE")
    refused(tell("users", "add", "Ann B"), 2, "'Ann B' cannot be a user's name")
    refused(tell("models", "delete", classifier), 2, f"whether {classifier} is to be deleted", "--yes")
    refused(tell("models", "delete", "pets"), 2, "'pets' names no version", "NAME:VERSION")
    assert tell("models", "delete", classifier, "--yes").code == 0


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


@pytest.mark.usefixtures("pets", "classifier")
@pytest.mark.parametrize(("words", "parts"), NO_PLACE)
def test_a_place_that_cannot_be_written_is_2(
    tell: Tell, isolated_home: Path, words: tuple[str, ...], parts: list[str]
) -> None:
    (isolated_home / "file").touch()
    refused(tell(*words), 2, *parts)


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


def test_a_classifier_that_never_says_none_is_shown_so(
    tell: Tell, isolated_home: Path, tiny_bundle: Callable[..., BundleInfo]
) -> None:
    for name, threshold in (("never", None), ("sometimes", 0.4)):
        with new_model(name) as (folder, _):
            tiny_bundle(folder, metrics=METRICS, reject_threshold=threshold)
    assert ALWAYS_ANSWERS in tell("models", "show", "never").out
    assert ALWAYS_ANSWERS not in tell("models", "show", "sometimes").out


def test_debug_adds_the_traceback(tell: Tell) -> None:
    plain, told = tell("models", "show", "nobody"), tell("--debug", "models", "show", "nobody")
    assert "Traceback" not in plain.err
    assert told.code == plain.code == 5
    assert told.err.startswith("Traceback (most recent call last)")
    assert told.err.endswith(plain.err)


def test_what_nobody_foresaw_is_one_line_too(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str | None) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("tellapart.store.list_models", fail)
    refused(tell("models", "list"), 1, "unexpected failure: RuntimeError: first second", "tellapart --debug")


def test_help_comes_at_once(isolated_home: Path) -> None:
    slow = "httpx", "imagehash", "numpy", "pydantic", "bentoml", "sqlalchemy"
    code = f"import sys, cli; cli.main(['--help']); print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_where_no_screen_is_no_table_is_cut(tell: Tell, tiny_bundle: Callable[..., BundleInfo]) -> None:
    name = "a-name-that-is-as-long-as-a-name-may-be-which-is-sixty-three-ab"
    with new_model(name) as (folder, version):
        tiny_bundle(folder, file=b"not loaded", metrics=METRICS)
    told = tell("models", "list")
    (row,) = [line for line in told.out.splitlines() if f"{name}:{version}" in line]
    assert "0.900" in row
    assert "…" not in told.out
    assert "T" in row.split("│")[-2]  # the whole time it was made


def test_doctor_says_what_is_missing_and_how_to_get_it(tell: Tell) -> None:
    told = tell("doctor")
    lines = dict(line.split(": ", 1) for line in told.out.splitlines())
    assert lines["optional  browser"].startswith("missing, there is no /nonexistent; gallery")
    assert lines["optional  browser"].endswith("Get it with: apt-get install chromium")
    assert lines["ok        Redis"] == "not asked for, files and SQLite are used"
    assert "put resnet50-" in lines["optional  ResNet50 weights"]
    assert told.code == 0


@pytest.mark.parametrize("variable", ["TELLAPART_HOME", "BENTOML_HOME"])
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_doctor_fails_where_nothing_could_be_kept(
    tell: Tell, isolated_home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, place: str
) -> None:
    (isolated_home / "file").touch()
    monkeypatch.setenv(variable, str(isolated_home / place))
    told = tell("doctor")
    (line,) = [line for line in told.out.splitlines() if line.startswith("wrong ")]
    assert str(isolated_home / place) in line
    assert f"set {variable}" in line
    assert (told.code, len(told.errors)) == (1, 1)


def test_doctor_fails_on_a_full_disk(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    told = tell("doctor")
    assert told.code == 1
    assert [line.split(":")[0] for line in told.out.splitlines() if "wrong" in line[:5]] == [
        "wrong     data folder",
        "wrong     model store",
    ]


def test_doctor_sees_taken_ports_unreadable_classifiers_and_a_silent_redis(
    tell: Tell, classifier: str, isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (isolated_home / "bentoml" / "models" / "old" / "v1").mkdir(parents=True)
    (isolated_home / "bentoml" / "models" / "old" / "v1" / "model.yaml").write_text("version: 0.13")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("TELLAPART_WEB_PORT", str(port))
        monkeypatch.setenv("TELLAPART_QUEUE_URL", "redis://127.0.0.1:9/0")
        told = tell("doctor")
    assert "optional  unreadable classifiers: old:v1" in told.out
    assert "ok        classifiers: 1" in told.out
    assert f"optional  web page: port {port} for the web page cannot be used" in told.out
    assert "wrong     Redis: asked for by TELLAPART_QUEUE_URL, does not answer" in told.out
    assert told.code == 1


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["models", "list"]])
def test_what_needs_no_network_loads_none(isolated_home: Path, words: list[str]) -> None:
    """Torch and the rest of the heavy libraries take seconds to import."""
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


@pytest.mark.usefixtures("pets")
def test_weights_that_are_not_there_are_noticed_before_anything_is_collected(tell: Tell, isolated_home: Path) -> None:
    told = tell("create", "p", "cat", "dog", *CREATE, "--weights", "nowhere.pth")
    refused(told, 5, "there is no weights file nowhere.pth", "--weights")
    assert not (isolated_home / "home").exists()


def test_nothing_classified_is_3(tell: Tell, classifier: str, isolated_home: Path) -> None:
    (isolated_home / "text.jpg").write_bytes(b"no picture")
    told = tell("predict", classifier, "text.jpg", "missing.jpg")
    assert told.code == 3
    assert "none of 2 inputs could be classified" in told.err
    assert "the file is not a picture" in told.out


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
