import sqlite3
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest

from tellapart.errors import DataError, TellapartError
from tellapart.manifest import Attempt, Manifest
from tellapart.pictures import Picture, Reason, Status

KEPT = (Status.KEPT, Reason.OK)


@pytest.fixture
def manifest(tmp_path):
    return Manifest(tmp_path / "manifest.sqlite")


def test_every_field_comes_back(manifest, tmp_path):
    picture = Picture("a" * 64, "0f" * 8, "image/png", "png", 30, 40, 50)
    attempt = Attempt("u/1", "cat", *KEPT, "openverse", "a cat", 7, "page", license="cc0", author="Ann")
    attempt = attempt.with_picture(picture)
    manifest.add([attempt])
    found = Manifest(tmp_path / "manifest.sqlite").attempts()
    assert found == [attempt]
    assert (found[0].sha256, found[0].phash, found[0].width, found[0].bytes) == ("a" * 64, "0f" * 8, 30, 50)
    assert isinstance(found[0].status, Status)


def test_the_same_class_and_url_replaces_the_row(manifest):
    manifest.add([Attempt("u", "cat", Status.FAILED, Reason.TIMEOUT), Attempt("u", "dog", *KEPT)])
    manifest.add([Attempt("u", "cat", *KEPT, detail="second")])
    assert [(a.class_slug, a.status, a.detail) for a in manifest.attempts()] == [
        ("cat", Status.KEPT, "second"),
        ("dog", Status.KEPT, ""),
    ]


def test_attempts_come_in_a_fixed_order_and_filtered(manifest):
    rows = [("u/3", "dog", 0), ("u/2", "cat", 2), ("u/1", "cat", 2), ("u/9", "cat", 1)]
    manifest.add([Attempt(url, slug, *KEPT, rank=rank) for url, slug, rank in rows])
    manifest.add([Attempt("u/4", "cat", Status.REJECTED, Reason.EMPTY)])
    assert [a.url for a in manifest.attempts()] == ["u/4", "u/9", "u/1", "u/2", "u/3"]
    assert [a.url for a in manifest.kept("cat")] == ["u/9", "u/1", "u/2"]
    assert [a.url for a in manifest.attempts(status=Status.REJECTED)] == ["u/4"]
    assert manifest.attempts("bird") == []


def test_counts_per_class_and_reason(manifest):
    manifest.add(Attempt(f"u/{i}", "cat", *KEPT) for i in range(3))
    manifest.add([Attempt("u/x", "cat", Status.REJECTED, Reason.EMPTY), Attempt("u/y", "dog", *KEPT)])
    assert manifest.counts() == {"cat": Counter({Reason.OK: 3, Reason.EMPTY: 1}), "dog": Counter({Reason.OK: 1})}


def test_a_change_of_what_another_has_changed_is_not_made(manifest):
    first, second, third = (Attempt(f"u/{i}", "cat", *KEPT) for i in range(3))
    manifest.add([first, second])
    manifest.add([replace(second, split="val")])
    manifest.change((old, replace(new, author="Ann")) for old, new in ((first, first), (second, second), (None, third)))
    manifest.change([(None, third)])
    assert [(a.author, a.split) for a in manifest.attempts()] == [("Ann", ""), ("", "val"), ("Ann", "")]


def test_removed_attempts_are_forgotten(manifest):
    rows = [Attempt("u/1", "cat", *KEPT), Attempt("u/1", "dog", *KEPT)]
    manifest.add(rows)
    manifest.remove(rows[:1])
    assert manifest.attempts() == rows[1:]


def test_an_add_that_fails_halfway_changes_nothing(manifest):
    old = Attempt("u/1", "cat", *KEPT)
    manifest.add([old])
    bad = Attempt("u/2", "cat", *KEPT, detail=None)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        manifest.add([Attempt("u/1", "cat", Status.REJECTED, Reason.EMPTY), bad])
    assert manifest.attempts() == [old]


def test_splits_and_groups_are_given_to_kept_pictures_only(manifest):
    manifest.add([Attempt("u/1", "cat", *KEPT, sha256="a"), Attempt("u/2", "cat", *KEPT, sha256="b")])
    manifest.set_status(manifest.kept()[1:], Status.QUARANTINED, Reason.CONFLICT)
    manifest.assign("split", {"a": "val", "b": "test"})
    manifest.assign("group_id", {"a": "g"})
    assert [(a.status, a.reason, a.split, a.group_id) for a in manifest.attempts()] == [
        (Status.KEPT, Reason.OK, "val", "g"),
        (Status.QUARANTINED, Reason.CONFLICT, "", ""),
    ]
    with pytest.raises(ValueError, match="not assigned"):
        manifest.assign("sha256", {})


def test_a_picture_taken_out_loses_its_split(manifest):
    manifest.add([Attempt("u/1", "cat", *KEPT, sha256="a", split="train")])
    manifest.set_status(manifest.kept(), Status.QUARANTINED, Reason.LEAK)
    assert manifest.attempts()[0].split == ""


def test_finished_searches_are_remembered(manifest):
    manifest.finish_search("cat", "gallery", "a cat", 12)
    manifest.finish_search("cat", "gallery", "a cat", 14)
    assert manifest.finished_searches() == {("cat", "gallery", "a cat")}


def test_threads_may_write_at_once(manifest):
    def write(part):
        for i in range(20):
            manifest.add([Attempt(f"u/{part}/{i}", "cat", *KEPT)])

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(manifest.attempts()) == 80


def test_one_held_open_writes_what_others_read_at_once(manifest):
    with manifest.held_open() as held:
        held.add([Attempt("u/1", "cat", *KEPT)])
        assert [a.url for a in manifest.attempts()] == ["u/1"]
        with pytest.raises(AttributeError):
            held.add([Attempt("u/2", "cat", *KEPT), None])
        manifest.add([Attempt("u/3", "cat", *KEPT)])
        assert [a.url for a in held.attempts()] == ["u/1", "u/3"]


@pytest.mark.parametrize("content", [b"this is no database, not at all", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_manifest_is_one_line(tmp_path, content):
    (tmp_path / "m.sqlite").write_bytes(content)
    with pytest.raises(DataError, match=r"m\.sqlite cannot be used as a manifest") as caught:
        Manifest(tmp_path / "m.sqlite")
    assert "\n" not in str(caught.value)


def test_a_newer_manifest_is_left_alone(manifest):
    with sqlite3.connect(manifest.path) as db:
        db.execute("PRAGMA user_version = 4")
    db.close()
    with pytest.raises(DataError, match="has manifest format 4, this program reads 3"):
        Manifest(manifest.path)


def test_a_manifest_of_the_first_format_is_read_and_gets_what_it_lacks(manifest):
    kept = Attempt("u/1", "cat", *KEPT)
    manifest.add([kept])
    with sqlite3.connect(manifest.path) as db:
        db.executescript(
            "ALTER TABLE attempts DROP COLUMN redirects; DROP TABLE actions; DROP TABLE audit; PRAGMA user_version = 1"
        )
    db.close()
    opened = Manifest(manifest.path)
    assert opened.attempts() == [kept]
    opened.add([Attempt("u/2", "cat", *KEPT, redirects="https://example.org/1 https://example.org/2")])
    assert opened.attempts()[1].redirects == "https://example.org/1 https://example.org/2"


def test_a_manifest_in_no_folder_is_one_line(tmp_path):
    with pytest.raises(TellapartError, match=r"unable to open.*Check the folder") as caught:
        Manifest(tmp_path / "nowhere" / "m.sqlite")
    assert caught.value.exit_code == 1


def test_a_full_disk_says_so(manifest, monkeypatch):
    real = sqlite3.connect

    def limited(*args, **kwargs):
        db = real(*args, **kwargs)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(sqlite3, "connect", limited)
    with pytest.raises(TellapartError, match="Make room on the disk") as caught:
        manifest.add(Attempt(f"u/{i}", "cat", *KEPT, detail="x" * 1000) for i in range(100))
    assert caught.value.exit_code == 1
    monkeypatch.undo()
    assert manifest.attempts() == []


def test_a_manifest_that_another_program_writes_is_no_damaged_one(manifest, monkeypatch):
    monkeypatch.setattr("tellapart.manifest.PATIENCE", 0.01)
    with closing(sqlite3.connect(manifest.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TellapartError, match=r"another program is writing it\. Try again") as caught:
            manifest.add([Attempt("u/1", "cat", *KEPT)])
    assert caught.value.exit_code == 1
