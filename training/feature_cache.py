"""Features on disk, so that no picture goes through a backbone twice.

One SQLite file holds the features of one backbone in one numeric form; what is committed
survives a kill at any moment. The files are derived data: an unreadable one is begun anew.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tellapart.errors import TellapartError
from tellapart.files import readable_disk_errors
from tellapart.sqlite import is_unreadable, use_wal

_SCHEMA = "CREATE TABLE IF NOT EXISTS features (sha256 TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
_AT_ONCE = 500
_PATIENCE = 30.0  # seconds to wait for another program's write


class FeatureCache:
    """Feature vectors (D,) float32 by the sha256 of the picture's bytes; a context manager.

    Args:
        path: the SQLite file, made with its folder where there is none.
        dim: D; a vector of another length is not there.

    Raises:
        TellapartError: the disk is full or the file cannot be written.
    """

    def __init__(self, path: Path, dim: int) -> None:
        self._path, self._dim = path, dim
        with readable_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._connect()
        except sqlite3.DatabaseError as error:
            if not is_unreadable(error):
                raise self._refused(error) from error
            self._delete()
            self._db = self._connect()

    def __enter__(self) -> "FeatureCache":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.close()

    def get(self, digests: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors that are there."""
        found: dict[str, NDArray[np.float32]] = {}
        wanted = list(dict.fromkeys(digests))
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            sql = f"SELECT sha256, vector FROM features WHERE sha256 IN ({', '.join('?' * len(part))})"
            rows = self._db.execute(sql, part)
            found |= {key: np.frombuffer(data, np.float32) for key, data in rows if len(data) == 4 * self._dim}
        return found

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Add vectors; they are on disk when this returns."""
        rows = [(key, vector.astype(np.float32).tobytes()) for key, vector in vectors.items()]
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_PATIENCE)
        try:
            use_wal(db, _PATIENCE)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(_SCHEMA)
            db.execute("SELECT sha256 FROM features LIMIT 1").fetchone()
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _refused(self, error: sqlite3.DatabaseError) -> TellapartError:
        return TellapartError(f"cannot write {self._path}: {error}", "Check its permissions and the room on the disk")

    def _delete(self) -> None:
        with readable_disk_errors(self._path):
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
