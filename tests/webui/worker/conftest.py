"""Jobs and claims, in the database of both kinds and in SQLite alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tellapart.settings import Settings
from webui.claims import Claims, this_process
from webui.database import Database
from webui.jobs import Jobs


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this process and those it starts, as a worker leaves a sign of life there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, lambda: None)


@pytest.fixture
def claims(database: Database, settings: Settings) -> Claims:
    return Claims(database, settings.home / "web" / "locks", this_process())


@pytest.fixture
def lite(settings: Settings) -> Iterator[tuple[Jobs, Claims]]:
    """Jobs and claims on SQLite alone, for what has nothing to do with the database."""
    database = Database(settings)
    yield Jobs(database, lambda: None), Claims(database, settings.home / "web" / "locks", this_process())
    database.close()
