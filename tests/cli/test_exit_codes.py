"""Bad input for the command line: the exit code, one line that helps, and nothing else."""

import re
from pathlib import Path

import pytest

from tellapart.errors import TellapartError
from tests.cli.helpers import COMMANDS, Tell, refused

ROOT = Path(__file__).resolve().parents[2]
CREATE = ("--source", "folder:pets", "--yes")
USAGE = [
    (("create", "pets", "cat", "dog", "--source", "nowhere", "--yes"), ["there is no source 'nowhere'", "gallery"]),
    (("create", "pets", "cat", "dog", "--source", "folder", "--yes"), ["source 'folder' needs a path", "folder:PATH"]),
    (("create", "pets", "cat", *CREATE), ["1 class name given", "Name at least two classes"]),
    (("create", "pets", *CREATE), ["Missing argument", "See: tellapart create --help"]),
    (("create", "pets", "Big Cat", "big-cat", *CREATE), ['the same', '"Big Cat" and "big-cat" (big-', "Rename"]),
    (("create", "pets", "../cat", "dog", *CREATE), ['class name "../cat" contains / and starts with a dot. Use 1 to']),
    (("create", "pets", "<b>cat</b>", "dog", *CREATE), ["contains / < >. Use 1 to 80 letters"]),
    (("create", "pets", "cat\x1b[31m", "dog", *CREATE), ['"catU+001B[31m" contains U+001B']),
    (("create", "pets", "c" * 81, "dog", *CREATE), ["is longer than 80 characters. Use 1 to 80 letters"]),
    (("create", "../pets", "cat", "dog", *CREATE), ["classifier name '../pets' cannot be used", "lower-case letters"]),
    (("create", "pets", "cat", "dog", "--backbone", "vgg"), ["--backbone", "'vgg'", "See: tellapart create --help"]),
    (("create", "pets", "cat", "dog", "--per-class", "1", "--yes"), ["'1' is not a whole number from 2 to"]),
    (("collect", "pets", "cat", "dog", "--since", "2026-13-01"), ["'2026-13-01' is no day written like", "See: tell"]),
    (("collect", "pets", "cat", "dog", "--since", "yesterday"), ["'yesterday' is no day written like 2026-01-31. S"]),
    (("train", "pets", "--name", "x", "--seed", "-1"), ["'-1' is not a whole number from 0 to 2147483647. See: tell"]),
    (("train", "pets", "--name", "x", "--epochs", "few"), ["'few' is not a whole number from 1 to 10000. See: tell"]),
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
    (("collect", "x", "cat", "dog", "--source", "folder:nowhere"), ["there is no folder", "nowhere", "one folder for"]),
    (("collect", "x", "cat", "dog", "--source", "urls:nowhere"), ["nowhere cannot be read: No such file"]),
    (("collect", "x", "cat", "dog", "--source", "site:nowhere"), ["nowhere cannot be read: No such file"]),
    (("create", "x", "cat", "dog", "--source", "folder:nowhere", "--yes"), ["there is no folder", "nowhere"]),
    (("users", "remove", "nobody"), ["there is no user 'nobody'", "tellapart users list"]),
    (("evaluate", "pets", "nowhere"), ["there is no folder nowhere", "one folder for each class"]),
    (("evaluate", "pets", "."), [". has no folder named like a class of this classifier (cat, dog)", "It has: "]),
    (("predict", "pets", "nowhere", "missing.zip"), ["there is no file or folder nowhere, missing.zip"]),
]
MISSING = [
    (("models", "show", "nobody"), ["there is no classifier 'nobody'", "There are: none yet"]),
    (("models", "list", "nobody"), ["there is no classifier 'nobody'", "There are: none yet"]),
    (("models", "list", "nobody", "--json", "-"), ["there is no classifier 'nobody'", "There are: none yet"]),
    (("models", "promote", "nobody:v1"), ["there is no classifier 'nobody:v1'"]),
    (("models", "rollback", "nobody"), ["there is no classifier 'nobody'", "There are: none yet"]),
    (("evaluate", "nobody", "pets"), ["there is no classifier 'nobody'"]),
    (("predict", "nobody", "x.jpg"), ["there is no classifier 'nobody'"]),
    (("models", "delete", "nobody:v1"), ["there is no classifier 'nobody:v1'"]),
    (("export", "nobody", "--format", "pt", "--out", "o"), ["there is no classifier 'nobody'", "There are: none yet"]),
]
NO_PLACE = [
    (("export", "pets", "--format", "pt", "--out", "file/out"), ["'--out': cannot write file/out", "is no folder"]),
    (("export", "pets", "--format", "pt", "--out", "file"), ["'--out': cannot write file", "is no folder"]),
    (("predict", "pets", "pets", "--json", "file/x"), ["'--json': cannot write file/x", "is no folder"]),
    (("predict", "pets", "pets", "--csv", "new/x.csv"), ["'--csv': cannot write new/x.csv: there is no folder new. S"]),
    (("predict", "pets", "pets", "--csv", "pets"), ["'--csv': cannot write pets: it is a folder"]),
    (("predict", "pets", "pets", "--json", "-", "--csv", "-"), ["both write on the standard output", "Name a file"]),
    (("evaluate", "pets", "pets", "--json", ""), ["'--json': cannot write"]),
    (("models", "list", "--json", "pets"), ["'--json': cannot write pets: it is a folder"]),
    (("models", "show", "pets", "--json", "pets"), ["'--json': cannot write pets: it is a folder"]),
    (("curate", "pets", "--json", "pets"), ["'--json': cannot write pets: it is a folder"]),
    (("audit", "pets", "--json", "pets"), ["'--json': cannot write pets: it is a folder"]),
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


@pytest.mark.usefixtures("pets", "classifier")
@pytest.mark.parametrize(("words", "parts"), NO_PLACE)
def test_a_place_that_cannot_be_written_is_2(
    tell: Tell, isolated_home: Path, words: tuple[str, ...], parts: list[str]
) -> None:
    (isolated_home / "file").touch()
    refused(tell(*words), 2, *parts)


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
