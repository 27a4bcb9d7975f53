"""What is swept away by time: all that a promise of how long it is kept is about, and what was cut short."""

import fcntl
import shutil
import time
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tellapart.files import readable_disk_errors, sweep_parts
from tellapart.settings import Settings
from webui.batches import Batches
from webui.cache import KEEP_SECONDS
from webui.database import Database
from webui.datasets import deleted_folder
from webui.exports import UNFINISHED
from webui.intake import uploads_folder
from webui.job_command import sample_folder
from webui.jobs import ACTIVE, Job, Kind, utc_now
from webui.previews import Previews
from webui.records import Records
from webui.shares import Shares
from webui.shelf import modified

KEEP = timedelta(days=1)


def sweep(database: Database, settings: Settings) -> None:
    """Delete what nobody needs any more, or was to be kept no longer.

    Files go after the transaction, which others wait for: a folder may take long.

    Raises:
        TellapartError: the database or the folder cannot be used.
    """
    web = settings.home / "web"
    with readable_disk_errors(web):
        with database.exclusive() as session:  # so that nobody takes a lock file that is about to go
            gone = _forget_samples(session, settings)
            jobs = dict(session.execute(select(Job.id, Job.name)).tuples().all())
            _remove_locks(web / "locks", {*jobs, *jobs.values()})
        for path in (*gone, *_left_behind(settings, jobs)):
            _remove(path)
        for kept in (Records(web / "results"), Previews(web / "pictures"), Batches(web / "batches")):
            kept.sweep()
        Shares(database, web / "shares").sweep()
        sweep_parts(web)


def _forget_samples(session: Session, settings: Settings) -> list[Path]:
    """Delete the rows of old samples; gives their folders."""
    old = select(Job).where(Job.kind == Kind.SAMPLE, Job.created < utc_now() - KEEP, Job.state.not_in(ACTIVE))
    samples = session.scalars(old).all()
    for job in samples:
        session.delete(job)
    session.flush()
    return [sample_folder(job, settings) for job in samples]


def _left_behind(settings: Settings, jobs: Collection[str]) -> Iterator[Path]:
    """Old files of jobs that are gone, uploads and exports that were cut short, answers that are out of date."""
    web = settings.home / "web"
    for folder in ("jobs", "samples"):
        yield from (path for path in _old(web / folder) if path.stem not in jobs)
    yield from _old(uploads_folder(settings))
    yield from _old(settings.cache / "exports", f"*{UNFINISHED}")
    yield from deleted_folder(settings).glob("*")
    yield from _old(web / "cache", seconds=KEEP_SECONDS)


def _remove_locks(folder: Path, known: Collection[str]) -> None:
    for lock in _old(folder, "*.lock"):
        if lock.stem not in known:
            _remove_unlocked(lock)


def _old(folder: Path, pattern: str = "*", seconds: float = KEEP.total_seconds()) -> list[Path]:
    return [path for path in folder.glob(pattern) if modified(path) < time.time() - seconds]


def _remove(path: Path) -> None:
    """Delete a file or folder; another worker may be deleting the same."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_unlocked(path: Path) -> None:
    """Delete a lock file, unless a process that outlived its job still has it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink(missing_ok=True)
