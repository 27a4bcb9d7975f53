"""Which worker is on which job: jobs are claimed, kept by a heartbeat, and taken back from workers that are gone.

Every claim is made in a transaction that excludes all others, and with a lock file that the job's process
inherits, so that a job has one process at most, even when its worker was killed and the process outlives it.
"""

import fcntl
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from tellapart.files import readable_disk_errors
from webui.database import Database
from webui.jobs import Job, Kind, MailDue, State, WorkerSeen, utc_now

LEASE = timedelta(seconds=30)
_FORGOTTEN = timedelta(hours=1)
_MAIL_LEASE = timedelta(minutes=5)  # longer than a server may take
TOLD = (State.DONE, State.FAILED)  # what a mail is about
_HELD = (State.RUNNING, State.STOPPING)


@dataclass(frozen=True)
class Claim:
    """A job that is ours to do; `lock` is the open lock file, which the job's process inherits."""

    job: Job
    lock: int


class Claims:
    """The jobs as a worker sees them. Every method raises what `Database` raises."""

    def __init__(self, database: Database, folder: Path, worker: str) -> None:
        """`folder` is for the lock files; `worker` is this one's identity, see `this_process`."""
        self._database, self._folder, self._worker = database, folder, worker
        self._at_work: set[str] = set()

    def take(self, kinds: Collection[Kind]) -> Claim | None:
        """Claim the job of these kinds that has waited longest, passing over names that are being worked on.

        One whose process is just ending, as its worker was killed, is not passed over: its turn is in a moment.
        """
        claim, job_id = None, ""
        try:
            with self._database.exclusive() as session:
                if claim := self._claim(session, kinds):
                    job_id = claim.job.id
                    self._at_work.add(job_id)
        except BaseException:
            if claim:  # it was not written down, and its lock file would stay locked
                self._at_work.discard(job_id)
                os.close(claim.lock)
            raise
        return claim

    def release(self, claim: Claim) -> None:
        """Say that nothing is done for a claim any more; its lock file stays locked while the job's process has it."""
        self._at_work.discard(claim.job.id)
        os.close(claim.lock)

    def say_here(self) -> None:
        """Say that this worker is there; those that were not seen for long are forgotten."""
        now = utc_now()
        with self._database.writing() as session:
            session.execute(delete(WorkerSeen).where(WorkerSeen.seen < now - _FORGOTTEN))
            session.merge(WorkerSeen(worker=self._worker, seen=now))

    def say_gone(self) -> None:
        """Say that it ends."""
        with self._database.writing() as session:
            session.execute(delete(WorkerSeen).where(WorkerSeen.worker == self._worker))

    def waiting(self) -> bool:
        """Whether a job waits."""
        with self._database.reading() as session:
            return session.scalar(select(Job.id).where(Job.state == State.QUEUED).limit(1)) is not None

    def beat(self, job: Job) -> State | None:
        """Say that the job is being worked on; gives its state, None where it is no longer ours."""
        with self._database.writing() as session:
            mine = self._mine(session, job)
            if mine:
                mine.heartbeat = utc_now()
            return mine.state if mine else None

    def record(self, job: Job, stages: Sequence[Mapping[str, Any]]) -> None:
        """Write down how far the job is."""
        with self._database.writing() as session:
            if mine := self._mine(session, job):
                mine.change(stages=[dict(stage) for stage in stages])

    def finish(
        self, job: Job, state: State, error: str = "", fix: str = "", result: Mapping[str, Any] | None = None
    ) -> Job | None:
        """Write down how the job ended, and that its mail is due; gives it as it is then, None where it is not ours."""
        ending = {"state": state, "error": error, "fix": fix, "result": dict(result or {})}
        with self._database.writing() as session:
            mine = self._mine(session, job)
            if mine:
                mine.change(**ending, finished=utc_now(), worker="")
                if mine.email and state in TOLD:
                    session.merge(MailDue(job_id=mine.id, tried=None))
        return mine

    def take_mail(self) -> Job | None:
        """A job whose mail is due, and is nobody else's to send meanwhile; None where there is none."""
        now = utc_now()
        free = or_(MailDue.tried.is_(None), MailDue.tried < now - _MAIL_LEASE)
        with self._database.exclusive() as session:
            while due := session.scalar(select(MailDue).where(free).limit(1)):
                job = session.get(Job, due.job_id)
                if job and job.state in TOLD:
                    due.tried = now
                    return job
                session.delete(due)  # it was forgotten, or goes on
                session.flush()
        return None

    def settle_mail(self, job: Job, problem: str = "") -> None:
        """Write down that its mail is sent, or why it could not be."""
        with self._database.writing() as session:
            session.execute(delete(MailDue).where(MailDue.job_id == job.id))
            if problem and (told := session.get(Job, job.id)):
                told.change(mail_problem=problem)

    def give_back(self, job: Job) -> None:
        """Put a job back in its place in the queue, for the next worker."""
        with self._database.writing() as session:
            if mine := self._mine(session, job):
                _give_back(mine)

    def take_back_lost(self) -> None:
        """Put the jobs that nobody works on back in the queue; what was about to stop is stopped."""
        with self._database.exclusive() as session:
            held = select(Job).where(Job.state.in_(_HELD)).with_for_update()  # a worker may be writing down an end
            for job in session.scalars(held):
                forgotten = job.worker == self._worker and job.id not in self._at_work
                if forgotten or _is_lost(job):
                    _give_back(job)

    def _claim(self, session: Session, kinds: Collection[Kind]) -> Claim | None:
        busy = set(session.scalars(select(Job.name).where(Job.state.in_(_HELD), Job.name != "")))
        waiting = select(Job).where(Job.state == State.QUEUED, Job.kind.in_(kinds)).order_by(Job.queued, Job.id)
        for job in session.scalars(waiting):
            if job.name in busy:
                continue
            now = utc_now()
            if (lock := self._lock(job)) is not None:
                job.change(state=State.RUNNING, worker=self._worker, started=now, heartbeat=now, stages=[])
                return Claim(job, lock)
            if job.heartbeat and now - job.heartbeat < LEASE:
                return None
        return None

    def _mine(self, session: Session, job: Job) -> Job | None:
        mine = session.get(Job, job.id, with_for_update=True)
        return mine if mine and mine.state in _HELD and mine.worker == self._worker else None

    def _lock(self, job: Job) -> int | None:
        """The lock file of the job's data set, opened and locked, None where another process has it."""
        path = self._folder / f"{job.name or job.id}.lock"
        with readable_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        os.close(file)
        return None


def this_process() -> str:
    """This process, told apart from every other one, on this machine and others, before and after a restart."""
    return f"{_machine()} {os.getpid()} {psutil.Process().create_time()}"


def _give_back(job: Job) -> None:
    stopping = job.state == State.STOPPING
    job.change(state=State.STOPPED if stopping else State.QUEUED, finished=utc_now() if stopping else None, worker="")


def _is_lost(job: Job) -> bool:
    """Whether a job's worker is gone: seen at once on this machine, after `LEASE` without a heartbeat elsewhere."""
    machine, _, process = job.worker.partition(" ")
    if machine == _machine():
        return not _lives(process)
    return job.heartbeat is None or utc_now() - job.heartbeat > LEASE


def _lives(process: str) -> bool:
    """Whether this number still is the process that began then; the clock may have been set since."""
    number, began = process.split()
    try:
        now = float(psutil.Process(int(number)).create_time())
    except psutil.NoSuchProcess:
        return False
    return abs(now - float(began)) < 10


def _machine() -> str:
    """Host name, this start of the machine, and the name space that process numbers are of."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    started = boot.read_text().strip() if boot.exists() else str(psutil.boot_time())
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{started}/{space.readlink() if space.exists() else ''}"
