import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from tellapart.sqlite import is_unreadable, use_wal

_AT_ONCE, _FILES = 4, 50


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def _mode(db: sqlite3.Connection) -> str:
    return str(db.execute("PRAGMA journal_mode").fetchone()[0])


def test_who_comes_while_another_has_the_file_waits(tmp_path: Path) -> None:
    with closing(_connect(tmp_path / "x")) as first, closing(_connect(tmp_path / "x")) as second:
        first.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(use_wal, second, 60)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            first.execute("COMMIT")
            waiting.result(60)
        assert _mode(first) == "wal"


def test_patience_ends(tmp_path: Path) -> None:
    with closing(_connect(tmp_path / "x")) as first, closing(_connect(tmp_path / "x")) as second:
        first.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked") as refused:
            use_wal(second, 0.05)
        assert not is_unreadable(refused.value)


def test_all_get_it_that_come_first_together(tmp_path: Path) -> None:
    together = Barrier(_AT_ONCE)

    def open_each(_: int) -> None:
        for number in range(_FILES):
            together.wait(60)
            with closing(sqlite3.connect(tmp_path / str(number), timeout=60)) as db:
                use_wal(db, 60)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(open_each, range(_AT_ONCE)))


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_to_blame(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with closing(_connect(tmp_path / "x")) as db, pytest.raises(sqlite3.DatabaseError) as refused:
        db.execute("SELECT * FROM sqlite_master")
    assert is_unreadable(refused.value)
