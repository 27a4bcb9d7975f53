"""Long work that people ask for in the browser: what it is, how far it is, and what pages do with it.

A job's row is the whole truth about it; the queue only wakes a worker, which takes the oldest job that may
run (`webui.claims`). So a lost message, a killed worker or a restart of the machine loses no job.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, String, Text, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from tellapart.errors import DataError, UsageError
from tellapart.names import check_name
from webui.database import Base, Database, Moment


class Kind(StrEnum):
    """What a job does."""

    CREATE = "create"  # collect, train, publish
    TRAIN = "train"  # train a data set that is there, and publish
    SAMPLE = "sample"  # a few pictures of each class, to look at before a create


class State(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"


ACTIVE = (State.QUEUED, State.RUNNING, State.STOPPING)
RESUMABLE = (State.STOPPED, State.FAILED)
INPUT_REFUSED = (UsageError.exit_code, DataError.exit_code)  # the same again would be refused again
MOST_ACTIVE = 30  # unfinished jobs of one person
_PRESENT = timedelta(seconds=20)  # since a worker was last seen
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Job(Base):
    """One job.

    Attributes:
        id: 128 random bits; who knows it may see the job, so it is no number that can be guessed.
        owner: who asked for it, None where there is no login.
        name: of the data set and classifier, "" for a sample.
        options: what the command line is told, see `webui.job_command`.
        stages: how far each stage is, in the order they began; the form is `Progress.to_json`'s.
        error, fix: what failed and what to do, "" where nothing did.
        result: what the command line gave at the end: `{"tag": "pets:abc", ...}`, where it failed `{"exit_code": 3}`.
        email: who is told at the end, "" for nobody; mail_problem: why that failed.
        queued: when it was last put in the queue; the order of work.
        heartbeat: when its worker last said that it is on it; worker: which one.
        revision: counts changes, so that a page knows when to look again.
    """

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(64), index=True)
    kind: Mapped[Kind] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(64), index=True)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[State] = mapped_column(String(16), index=True)
    stages: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    error: Mapped[str] = mapped_column(Text, default="")
    fix: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    email: Mapped[str] = mapped_column(String(254), default="")
    mail_problem: Mapped[str] = mapped_column(Text, default="")
    created: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    queued: Mapped[datetime] = mapped_column(Moment, default=utc_now)
    started: Mapped[datetime | None] = mapped_column(Moment)
    finished: Mapped[datetime | None] = mapped_column(Moment)
    heartbeat: Mapped[datetime | None] = mapped_column(Moment)
    worker: Mapped[str] = mapped_column(String(200), default="")
    revision: Mapped[int] = mapped_column(default=0)

    @property
    def active(self) -> bool:
        """Whether it waits, runs, or is about to stop."""
        return self.state in ACTIVE

    @property
    def resumable(self) -> bool:
        """Whether it can be put in the queue again; it goes on where it stopped."""
        return self.state in RESUMABLE

    @property
    def refused(self) -> bool:
        """Whether it failed by what it was given, so that to go on helps only once that is another."""
        return self.state == State.FAILED and self.result.get("exit_code") in INPUT_REFUSED

    def change(self, **values: Any) -> None:
        """Set attributes, and count the change."""
        for name, value in values.items():
            setattr(self, name, value)
        self.revision += 1


class WorkerSeen(Base):
    """A worker that is there, and when it last said so."""

    __tablename__ = "workers"
    worker: Mapped[str] = mapped_column(String(200), primary_key=True)
    seen: Mapped[datetime] = mapped_column(Moment)


class MailDue(Base):
    """A job whose end somebody has yet to be told of by mail; `tried`: when a worker last began to."""

    __tablename__ = "mails_due"
    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tried: Mapped[datetime | None] = mapped_column(Moment)


@dataclass(frozen=True)
class Standing:
    """Where an unfinished job stands: how many are done before it, and whether a worker is there to do any."""

    ahead: int = 0
    worker: bool = True


class AlreadyThere(UsageError):
    """There is an unfinished job of this kind for this name; `job_id` is its id."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.name} is being worked on already", "Watch that job, or stop it first")
        self.job_id, self.owner = job.id, job.owner


class Jobs:
    """The jobs as the pages see them. Every method raises what `Database` raises."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        """`wake` tells a worker that there may be something to do; it must not raise."""
        self._database, self._wake = database, wake

    def enqueue(
        self, kind: Kind, name: str, options: Mapping[str, Any], email: str = "", owner: str | None = None
    ) -> Job:
        """Put a job in the queue.

        Raises:
            UsageError: the name cannot be one of a classifier, or too many jobs of theirs are unfinished.
            AlreadyThere: an unfinished job of this kind works on this name.
        """
        if kind is not Kind.SAMPLE:
            check_name(name)
        job = Job(
            id=secrets.token_urlsafe(16), kind=kind, name=name, options=dict(options), email=email, owner=owner,
            state=State.QUEUED,
        )  # fmt: skip
        with self._database.exclusive() as session:
            if name and (other := _unfinished(session, kind, name)):
                raise AlreadyThere(other)
            _refuse_many(session, owner)
            session.add(job)
        self._wake()
        return job

    def find(self, job_id: str, owner: str | None = None) -> Job | None:
        """The job with this id, None where there is none or it is another's."""
        if not _ID.fullmatch(job_id):
            return None
        with self._database.reading() as session:
            job = session.get(Job, job_id)
        return job if job and job.owner in (None, owner) else None

    def active(self) -> Sequence[Job]:
        """The unfinished jobs but samples, whoever asked for them."""
        query = select(Job).where(Job.kind != Kind.SAMPLE, Job.state.in_(ACTIVE))
        with self._database.reading() as session:
            return session.scalars(query).all()

    def list(self, owner: str | None = None, most: int = 20) -> list[Job]:
        """The newest jobs but samples, unfinished ones first."""
        query = (
            select(Job)
            .where(Job.kind != Kind.SAMPLE, or_(Job.owner.is_(None), Job.owner == owner))
            .order_by(Job.state.not_in(ACTIVE), Job.created.desc())
        )
        with self._database.reading() as session:
            return list(session.scalars(query.limit(most)))

    def standing(self, job: Job) -> Standing:
        """Where a job stands now."""
        if not job.active:
            return Standing()
        before = select(func.count()).where(Job.state.in_(ACTIVE), Job.kind != Kind.SAMPLE, Job.queued < job.queued)
        with self._database.reading() as session:
            return Standing(session.scalar(before) or 0, _somebody_works(session))

    def lack_worker(self, jobs: Sequence[Job]) -> bool:
        """Whether one of these jobs is unfinished and no worker is there to do it."""
        with self._database.reading() as session:
            return any(job.active for job in jobs) and not _somebody_works(session)

    def remove(self, job_id: str) -> None:
        """Forget a job that is not active; what it has made stays."""
        with self._database.exclusive() as session:
            job = session.get(Job, job_id)
            if job and not job.active:
                session.delete(job)

    def stop(self, job_id: str) -> None:
        """Let a job stop: one that waits at once, one that runs once its work is safe; others stay as they are."""
        with self._database.exclusive() as session:
            job = session.get(Job, job_id, with_for_update=True)  # its worker may be writing down how it ended
            if job and job.state == State.QUEUED:
                job.change(state=State.STOPPED, finished=utc_now())
            elif job and job.state == State.RUNNING:
                job.change(state=State.STOPPING)

    def resume(self, job_id: str) -> None:
        """Put a stopped or failed job in the queue again; others stay as they are.

        Raises:
            UsageError: too many jobs of theirs are unfinished.
            AlreadyThere: another unfinished job works on its name.
        """
        with self._database.exclusive() as session:
            job = session.get(Job, job_id)
            if job and job.resumable:
                if job.name and (other := _unfinished(session, job.kind, job.name)):
                    raise AlreadyThere(other)
                _refuse_many(session, job.owner)
                job.change(state=State.QUEUED, queued=utc_now(), finished=None, error="", fix="", mail_problem="")
        self._wake()


def _unfinished(session: Session, kind: Kind, name: str) -> Job | None:
    return session.scalar(select(Job).where(Job.kind == kind, Job.name == name, Job.state.in_(ACTIVE)).limit(1))


def _refuse_many(session: Session, owner: str | None) -> None:
    theirs = Job.owner == owner if owner else Job.owner.is_(None)
    count = session.scalar(select(func.count()).where(Job.state.in_(ACTIVE), theirs)) or 0
    if count >= MOST_ACTIVE:
        raise UsageError(f"{count} jobs are unfinished", "Wait for some of them, or stop them")


def _somebody_works(session: Session) -> bool:
    recent = select(WorkerSeen.worker).where(WorkerSeen.seen > utc_now() - _PRESENT).limit(1)
    return session.scalar(recent) is not None
