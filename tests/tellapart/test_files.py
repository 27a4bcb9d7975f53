import errno
import json
import os
from pathlib import Path

import pytest

from tellapart.errors import TellapartError
from tellapart.files import sweep_parts, write_bytes, write_json


def test_folders_are_made_and_files_are_readable_by_others(tmp_path):
    write_bytes(tmp_path / "a" / "b.bin", b"12")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"12"
    assert (tmp_path / "a" / "b.bin").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_write_waits_for_the_disk(tmp_path, monkeypatch, durable):
    waited = []
    monkeypatch.setattr(os, "fsync", waited.append)
    write_bytes(tmp_path / "x.bin", b"12", durable=durable)
    assert bool(waited) == durable
    assert (tmp_path / "x.bin").read_bytes() == b"12"


def test_json_is_for_people(tmp_path):
    write_json(tmp_path / "x.json", {"name": "кот"})
    assert (tmp_path / "x.json").read_text() == '{\n  "name": "кот"\n}\n'


def test_json_may_hold_half_a_character(tmp_path):
    write_json(tmp_path / "x.json", ["a\udcff \U0001f600"])
    assert json.loads((tmp_path / "x.json").read_text()) == ["a\udcff \U0001f600"]


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "Make room on the disk"), (errno.EACCES, "Check the folder")]
)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, number, words):
    path = tmp_path / "x.txt"
    write_bytes(path, b"old")

    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TellapartError, match=words) as caught:
        write_bytes(path, b"new")
    assert caught.value.exit_code == 1
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_write_that_is_interrupted_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "x.txt", b"new")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(TellapartError, match=r"cannot write .*file/x"):
        write_bytes(tmp_path / "file" / "x", b"")


def test_what_a_killed_process_left_is_swept_and_what_is_being_written_is_not(tmp_path):
    old, new, picture = (tmp_path / "cat" / name for name in (".part-old", ".part-new", "picture.png"))
    for path in (old, new, picture):
        write_bytes(path, b"12")
    os.utime(old, (0, 0))
    os.utime(picture, (0, 0))
    sweep_parts(tmp_path)
    assert [path.exists() for path in (old, new, picture)] == [False, True, True]
