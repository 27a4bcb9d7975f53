"""What is left behind and swept away: old samples, files of jobs that are gone, exports that were cut short."""

import fcntl
import shutil
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tellapart.settings import Settings
from webui.database import Database
from webui.exports import UNFINISHED
from webui.job_command import sample_folder
from webui.jobs import ACTIVE, Job, Kind, utc_now
from webui.shelf import modified

KEEP = timedelta(days=1)


def sweep(database: Database, settings: Settings) -> None:
    """Delete what nobody needs any more, once it is older than `KEEP`.

    Raises:
        TellapartError: the database cannot be used.
    """
    with database.exclusive() as session:  # so that nobody takes a lock file that is about to go
        _forget_samples(session, settings)
        jobs = dict(session.execute(select(Job.id, Job.name)).tuples().all())
        for log in _old(settings.home / "web" / "jobs", "*.log"):
            if log.stem not in jobs:
                log.unlink(missing_ok=True)
        for lock in _old(settings.home / "web" / "locks", "*.lock"):
            if lock.stem not in {*jobs, *jobs.values()}:
                _remove_unlocked(lock)
    for part in _old(settings.cache / "exports", f"*{UNFINISHED}"):
        shutil.rmtree(part, ignore_errors=True)


def _forget_samples(session: Session, settings: Settings) -> None:
    old = select(Job).where(Job.kind == Kind.SAMPLE, Job.created < utc_now() - KEEP, Job.state.not_in(ACTIVE))
    for job in session.scalars(old):
        shutil.rmtree(sample_folder(job, settings), ignore_errors=True)
        session.delete(job)
    session.flush()


def _old(folder: Path, pattern: str) -> list[Path]:
    return [path for path in folder.glob(pattern) if modified(path) < time.time() - KEEP.total_seconds()]


def _remove_unlocked(path: Path) -> None:
    """Delete a lock file, unless a process that outlived its job still has it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink(missing_ok=True)
