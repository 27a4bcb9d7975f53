"""What SQLite files need that several processes open at once."""

import sqlite3
import time

_PAUSE_SECONDS = 0.01
_UNREADABLE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def use_wal(db: sqlite3.Connection, patience: float) -> None:
    """Let readers and a writer of the file go on side by side, now and in every later connection.

    The switch needs the file alone, and SQLite's own timeout does not hold for it: of two processes that
    come first to a new file, one is told "locked" at once. So the waiting is done here.

    Args:
        db: a connection outside a transaction.
        patience: seconds to wait for others.

    Raises:
        sqlite3.OperationalError: others still hold the file then, or it cannot be written.
    """
    end = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(_PAUSE_SECONDS)


def is_unreadable(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is to blame: damaged, no database or one of other tables, rather than a lock or a full disk."""
    return _code(error) in _UNREADABLE


def _code(error: sqlite3.Error) -> int:
    """The primary code of SQLite's extended one."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
