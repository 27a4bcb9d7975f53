"""Predicting files, folders and archives; what is bad becomes a row."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart.archives import ArchiveLimits
from tellapart.progress import Progress, silent
from tellapart.wire import Problem, make_result
from training.inputs import Input, Unusable, find_inputs
from training.predict import PredictionRow, predict, to_csv, to_json

MakeShape = Callable[[int, int], bytes]


@pytest.fixture
def ask(trained: Any) -> Callable[..., list[PredictionRow]]:
    return lambda *paths: list(predict(trained.classifier, "shapes:v1", paths, silent))


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_a_file_gets_the_answer_of_the_classifier(
    ask: Callable[..., list[PredictionRow]], trained: Any, tmp_path: Path, make_shape: MakeShape
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(make_shape(1, 77))
    (row,) = ask(path)
    pixels = trained.info.preprocessing.from_bytes(path.read_bytes())[None]
    expected = trained.classifier.probabilities(pixels)[0]
    assert row.result is not None
    assert row.result.top == "green box"
    assert row.result.model == "shapes:v1"
    assert (row.result.image.width, row.result.image.height) == (64, 64)
    found = {p.class_name: p.confidence for p in row.result.predictions}
    np.testing.assert_allclose([found[n] for n in trained.info.class_names], expected, atol=1e-6)
    assert str(row).startswith(f"{path}: green box (")


def test_bad_pictures_do_not_stop_the_rest(
    ask: Callable[..., list[PredictionRow]], tmp_path: Path, make_shape: MakeShape
) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for i in range(40):
        (folder / "deep" / f"{i:02}.png").write_bytes(make_shape(i % 3, 200 + i))
    (folder / "deep" / "05.png").write_bytes(b"no picture")
    (folder / "empty.jpg").touch()
    (folder / "cut.png").write_bytes(make_shape(0, 1)[:400])
    (folder / ".hidden").write_bytes(b"x")
    rows = ask(folder, tmp_path / "missing.png")
    assert len(rows) == 43
    errors = {Path(r.path).name: r.error.code for r in rows if r.error}
    assert errors == {
        "05.png": "not_an_image",
        "empty.jpg": "empty",
        "cut.png": "truncated",
        "missing.png": "not_found",
    }
    assert all("\n" not in str(r) for r in rows)


def test_what_is_plainly_no_picture_is_left_out_of_folders_and_archives_and_counted(
    trained: Any, tmp_path: Path, make_shape: MakeShape
) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(make_shape(0, 1))
    (folder / "picture.txt").write_bytes(make_shape(1, 1))
    (folder / "deep" / "readme.txt").write_text("hello")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "broken.jpg").write_bytes(b"hello")
    packed = archive(tmp_path / "more.zip", {"b.png": make_shape(2, 1), "readme.txt": b"hello"})
    (tmp_path / "named.txt").write_text("hello")
    seen: list[Progress] = []
    rows = list(predict(trained.classifier, "t:1", [folder, packed, tmp_path / "named.txt"], seen.append))
    assert {Path(r.path).name: r.result.top if r.result else r.error and r.error.code for r in rows} == {
        "a.png": "red disc",
        "broken.jpg": "not_an_image",
        "picture.txt": "green box",
        "b.png": "blue cross",
        "named.txt": "not_an_image",
    }
    assert [p.note for p in seen if p.stage == "left out"] == ["3 files that are no pictures"]


def test_batches_do_not_change_the_answer(
    ask: Callable[..., list[PredictionRow]], tmp_path: Path, make_shape: MakeShape
) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        path.write_bytes(make_shape(i % 3, 300 + i))
    together, alone = ask(*paths), [ask(path)[0] for path in paths]
    for one, two in zip(together, alone, strict=True):
        assert one.result
        assert two.result
        assert one.result.confidence == pytest.approx(two.result.confidence, abs=1e-4)


def test_an_archive_is_read_without_being_extracted(
    ask: Callable[..., list[PredictionRow]], tmp_path: Path, make_shape: MakeShape
) -> None:
    members = {
        "a/red.png": make_shape(0, 400),
        "../../evil.png": make_shape(1, 401),
        "/abs.png": make_shape(2, 402),
        "line\nbreak\x1b[31m.png": b"no picture",
        "__MACOSX/x.png": b"x",
        "a/.DS_Store": b"x",
        "inner.zip": b"PK\x03\x04rest",
    }
    path = archive(tmp_path / "in.zip", members)
    before = sorted(tmp_path.parent.rglob("*"))
    rows = ask(path)
    assert sorted(tmp_path.parent.rglob("*")) == before
    assert [r.result.top if r.result else r.error.code for r in rows if r.result or r.error] == [
        "red disc",
        *["not_an_image"] * 3,
        "unsupported_type",
    ]
    assert rows[0].path == f"{path}/a/red.png"
    assert rows[3].path.isprintable()


def kinds(path: Path, limits: ArchiveLimits) -> list[str]:
    return [item.code if isinstance(item, Unusable) else "ok" for item in find_inputs([path], limits)]


def test_archive_limits(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(3000)
    three = archive(tmp_path / "three.zip", {f"{i}.png": noise for i in range(3)})
    assert kinds(three, ArchiveLimits()) == ["ok", "ok", "ok"]
    assert kinds(three, ArchiveLimits(entries=2)) == ["too_large"]
    assert kinds(three, ArchiveLimits(total_bytes=7000)) == ["ok", "ok", "too_large"]


def test_a_bomb_stops_at_the_ratio_whatever_its_directory_claims(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.zip", {"a.bmp": bytes(30_000_000), "b.png": b"fine"})
    found = list(find_inputs([path]))
    assert isinstance(found[0], Unusable)
    assert "200 times" in found[0].message
    assert found[1] == Input(f"{path}/b.png", b"fine")


def test_a_damaged_archive_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and then nothing")
    whole = archive(tmp_path / "y.zip", {"a.png": np.random.default_rng(0).bytes(5000)})
    data = bytearray(whole.read_bytes())
    data[300:320] = bytes(20)
    whole.write_bytes(data)
    assert kinds(tmp_path / "x.zip", ArchiveLimits()) == ["truncated"]
    assert kinds(whole, ArchiveLimits()) == ["truncated"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_costs_its_own_row_only(tmp_path: Path, method: int) -> None:
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        for name in ("a.png", "b.png"):
            file.writestr(name, b"the same again " * 2000)
        start = file.getinfo("a.png").header_offset + 30 + len("a.png")
    data = bytearray(path.read_bytes())
    data[start + 20 : start + 40] = b"\xff" * 20
    path.write_bytes(data)
    assert kinds(path, ArchiveLimits()) == ["truncated", "ok"]


def test_csv_and_json(ask: Callable[..., list[PredictionRow]], tmp_path: Path, make_shape: MakeShape) -> None:
    (tmp_path / "ok.png").write_bytes(make_shape(2, 500))
    rows = [*ask(tmp_path / "ok.png"), PredictionRow("=cmd()", error=Problem(code="empty", message="@sum"))]
    table = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert table[0]["class"] == "blue cross"
    assert 0 <= float(table[0]["confidence"]) <= 1
    assert (table[1]["path"][0], table[1]["message"][0]) == ("'", "'")
    listed = json.loads(to_json(rows))
    assert listed[0]["predictions"][0]["class"] == "blue cross"
    assert listed[1]["error"]["code"] == "empty"


def test_progress_counts_failures(trained: Any, tmp_path: Path, make_shape: MakeShape) -> None:
    (tmp_path / "ok.png").write_bytes(make_shape(0, 1))
    seen: list[Progress] = []
    list(predict(trained.classifier, "t:1", [tmp_path / "ok.png", tmp_path / "no.png"], seen.append))
    assert (seen[-1].done, seen[-1].counts["failed"], seen[-1].finished) == (2, 1, True)


def test_none_of_these_is_in_the_line_and_in_the_table() -> None:
    answer = make_result("shapes:1", ["a", "b"], [0.6, 0.4], (1, 1), none_of_these=True)
    row = PredictionRow("p.png", answer)
    assert str(row) == "p.png: none of these; a is nearest"
    assert '"p.png","a","0.600000","true",""' in to_csv([row])
