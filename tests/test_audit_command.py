"""`tellapart audit`: the sample goes out, a person's answers come back, and the share of right pictures is told."""

import json
from dataclasses import replace

import pytest

import cli
from tellapart.actions import apply
from tellapart.decisions import Action, Decisions
from tellapart.folders import open_folder
from tellapart.purity import estimate
from tellapart.settings import load_settings


@pytest.fixture
def pets(tmp_path, make_photo, isolated_home):
    """Eight pictures in each of two class folders."""
    for i in range(16):
        path = tmp_path / "pets" / ("cat" if i < 8 else "dog") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_photo(i))
    return tmp_path / "pets"


def printed(capsys, *arguments):
    assert cli.main(["audit", *map(str, arguments), "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def filled_in(document, path, right):
    for row in document["sample"]:
        row["right"] = right(row)
    path.write_text(json.dumps(document))
    return path


def test_the_printed_sample_is_taken_back_with_its_answers(pets, tmp_path, capsys):
    document = printed(capsys, pets)
    assert len(document["sample"]) == 16
    assert [c["share"] for c in document["classes"]] == [None, None]
    wrong = [row["sha256"] for row in document["sample"] if row["class_slug"] == "cat"][:2]
    answers = filled_in(document, tmp_path / "answers.json", lambda row: row["sha256"] not in wrong)

    assert cli.main(["audit", str(pets), "--answers", str(answers)]) == 0
    told = capsys.readouterr().out
    assert "75 %" in told
    assert "100 %" in told
    again = printed(capsys, pets)
    assert [c["share"] for c in again["classes"]] == [0.75, 1.0]
    assert [row["right"] for row in again["sample"]].count(False) == 2
    assert estimate(open_folder(pets, load_settings().home), "cat").answered == 8


def test_what_is_to_be_typed_next_can_be_copied(pets, tmp_path, capsys):
    out = tmp_path / "a sample.json"
    assert cli.main(["audit", str(pets), "--per-class", "4", "--json", str(out)]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"then: tellapart audit {pets} --per-class 4 --answers '{out}'")


def test_where_nobody_can_be_asked_it_says_how_to_answer(pets, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert cli.main(["audit", str(pets)]) == 0
    assert f"tellapart audit {pets} --json FILE\n" in capsys.readouterr().err


def test_in_a_terminal_it_asks_and_each_answer_is_kept_at_once(pets, capsys, monkeypatch):
    given = iter(["y", "n", "s", "q"])
    questions = []

    def prompt(text, **_options):
        questions.append(text)
        return next(given)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    assert cli.main(["audit", str(pets), "--per-class", "4"]) == 0
    assert questions[0].startswith("1 of 8: does it show 'cat'?")
    shown = [line for line in capsys.readouterr().out.splitlines() if line.endswith(".png")]
    assert len(shown) == len(questions) == 4
    assert [row["right"] for row in printed(capsys, pets, "--per-class", 4)["sample"][:4]] == [True, False, None, None]


def test_answers_that_still_apply_are_taken_where_the_data_set_changed_in_between(pets, tmp_path, capsys):
    """Of 16 answers, one is about a picture taken out and one about a picture of a sample drawn anew without it."""
    document = printed(capsys, pets)
    answers = filled_in(document, tmp_path / "answers.json", lambda _row: True)
    dataset = open_folder(pets, load_settings().home)
    (gone, *_), dogs = ([r["sha256"] for r in document["sample"] if r["class_slug"] == c] for c in ("cat", "dog"))
    apply(dataset, [Action("remove", "cat", gone)])
    decisions = Decisions(dataset.manifest)
    decisions.draw("dog", [replace(item, stratum_size=8) for item in decisions.audit("dog")[:7]])

    assert cli.main(["audit", str(pets), "--per-class", "7", "--answers", str(answers)]) == 3
    told = capsys.readouterr()
    assert "14 answers taken from" in told.err
    assert "2 of 16 answers not taken" in told.err.splitlines()[-1]
    assert f"1 picture not in the class now ('cat' {gone[:12]})" in told.err
    assert f"1 picture not in the sample now ('dog' {dogs[7][:12]})" in told.err
    assert told.out.count("7 of 7") == 2, "the result is told all the same"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "holds no answers: line 1 is not JSON"),
        ("{}", "holds no answers: it has no list 'sample'"),
        ("7", "holds no answers: it has no list 'sample'"),
        ('{"sample": 7}', "holds no answers: it has no list 'sample'"),
        ("[7]", "holds no answers: row 1 is no answer"),
        ("[" * 100_000, "holds no answers: it is not JSON"),
        ('[{"class_slug": "cat", "sha256": "a"}]', "holds no answers: row 1 has no 'right'"),
        (
            '[{"class_slug": "cat", "sha256": "a", "right": "perhaps"}]',
            "'right' of row 1 is neither true, false nor null",
        ),
        (
            '[{"class_slug": "cat", "sha256": "abc", "right": true}]',
            "1 of 1 answer not taken: 1 picture not in the class now ('cat' abc)",
        ),
        ('[{"class_slug": "cat", "sha256": 7, "right": true}]', "'sha256' of row 1 is no text"),
        (b"\xff\xfe\xff", "holds no answers: it is not JSON"),
    ],
)
def test_a_file_without_answers_is_one_line_and_stores_nothing(pets, tmp_path, capsys, text, problem):
    path = tmp_path / "answers.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert cli.main(["audit", str(pets), "--answers", str(path)]) == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("error: ")
    assert problem in told
    assert all(row["right"] is None for row in printed(capsys, pets)["sample"])


def test_a_file_of_answers_that_is_not_there_is_missing_data(pets, capsys):
    assert cli.main(["audit", str(pets), "--answers", "nowhere.json"]) == 3
