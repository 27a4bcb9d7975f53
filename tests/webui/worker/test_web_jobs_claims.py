"""Claims: which job is next, whose it is, and taking it back from workers that are gone, on SQLite and PostgreSQL."""

import fcntl
import subprocess
import threading
from datetime import timedelta

import pytest

from tellapart.settings import Settings
from tests.webui.worker.helpers import ALL, OPTIONS, reread, taken
from webui.claims import LEASE, Claim, Claims, this_process
from webui.database import Database
from webui.jobs import Job, Jobs, Kind, State, utc_now


def test_the_oldest_job_comes_first_and_a_resumed_one_last(jobs: Jobs, claims: Claims) -> None:
    first, second, third = (jobs.enqueue(Kind.CREATE, name, OPTIONS) for name in ("a", "b", "c"))
    jobs.stop(first.id)
    jobs.resume(first.id)
    claimed = [taken(claims) for _ in range(3)]
    assert [claim.job.id for claim in claimed] == [second.id, third.id, first.id]
    assert claims.take(ALL) is None
    assert reread(jobs, first).state == State.RUNNING
    for claim in claimed:
        claims.release(claim)


def test_a_data_set_has_one_job_at_a_time(jobs: Jobs, claims: Claims) -> None:
    jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    again = jobs.enqueue(Kind.TRAIN, "pets", {})
    first = taken(claims)
    assert claims.take(ALL) is None
    claims.finish(first.job, State.DONE)
    assert claims.take(ALL) is None, "its process is still there"
    claims.release(first)
    second = taken(claims)
    assert second.job.id == again.id
    claims.release(second)


def test_workers_that_claim_at_once_get_different_jobs(jobs: Jobs, claims: Claims) -> None:
    for number in range(6):
        jobs.enqueue(Kind.CREATE, f"pets-{number}", OPTIONS)
    got: list[Claim | None] = []
    threads = [threading.Thread(target=lambda: got.append(claims.take(ALL))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed = [claim for claim in got if claim]
    assert len({claim.job.id for claim in claimed}) == len(claimed) == 6
    for claim in claimed:
        claims.release(claim)


def test_a_job_of_a_worker_that_is_gone_is_taken_back(jobs: Jobs, database: Database, settings: Settings) -> None:
    ended = subprocess.Popen(["true"])
    machine, pid, began = this_process().rsplit(" ", 2)
    ended.wait()
    cases = {
        "gone": (f"{machine} {ended.pid} {began}", timedelta(0), State.QUEUED),
        "another-by-that-number": (f"{machine} {pid} {float(began) - 3600}", timedelta(0), State.QUEUED),
        "alive": (this_process(), timedelta(hours=1), State.RUNNING),
        "elsewhere-silent": ("other/boot/space 1 0", LEASE * 2, State.QUEUED),
        "elsewhere-alive": ("other/boot/space 1 0", LEASE / 2, State.RUNNING),
    }
    made = {name: jobs.enqueue(Kind.CREATE, name, OPTIONS) for name in cases}
    with database.writing() as session:
        for name, (worker, silent, _) in cases.items():
            heartbeat = utc_now() - silent
            session.get_one(Job, made[name].id).change(state=State.RUNNING, worker=worker, heartbeat=heartbeat)
    claims = Claims(database, settings.home / "locks", "the worker that looks")
    claims.take_back_lost()
    found = {name: reread(jobs, job).state for name, job in made.items()}
    assert found == {name: state for name, (_, _, state) in cases.items()}
    assert claims.waiting()


def test_what_was_about_to_stop_when_its_worker_died_is_stopped(
    jobs: Jobs, claims: Claims, database: Database, settings: Settings
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    claims.release(taken(claims))
    jobs.stop(job.id)
    with database.writing() as session:
        session.get_one(Job, job.id).worker = "other/boot/space 1 0"
        session.get_one(Job, job.id).heartbeat = None
    claims.take_back_lost()
    assert reread(jobs, job).state == State.STOPPED
    assert claims.beat(job) is None
    assert claims.finish(job, State.DONE) is None
    assert reread(jobs, job).state == State.STOPPED


def test_a_process_that_outlives_its_worker_keeps_its_data_set(lite: tuple[Jobs, Claims], settings: Settings) -> None:
    jobs, claims = lite
    jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    folder = settings.home / "web" / "locks"
    folder.mkdir(parents=True)
    with (folder / "pets.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert claims.take(ALL) is None
    claims.release(taken(claims))


@pytest.mark.parametrize(("silent", "next_name"), [(timedelta(0), None), (LEASE * 2, "q10")])
def test_a_job_whose_worker_was_killed_keeps_its_turn_while_its_process_ends(
    lite: tuple[Jobs, Claims], settings: Settings, silent: timedelta, next_name: str | None
) -> None:
    """But one that does not end holds nobody for long."""
    jobs, claims = lite
    first, _ = (jobs.enqueue(Kind.CREATE, name, OPTIONS) for name in ("q9", "q10"))
    killed = taken(claims)
    with claims._database.writing() as session:
        worker, heartbeat = "other/boot/space 1 0", utc_now() - silent
        session.get_one(Job, first.id).change(worker=worker, heartbeat=heartbeat, state=State.QUEUED)
    orphan = settings.home / "web" / "locks" / "q9.lock"
    claims.release(killed)
    with orphan.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other = claims.take(ALL)
        assert (other.job.name if other else None) == next_name
        if other:
            claims.release(other)
    last = taken(claims)
    assert last.job.id == first.id
    claims.release(last)


def test_samples_are_taken_beside_a_training(lite: tuple[Jobs, Claims]) -> None:
    jobs, claims = lite
    for name in ("a", "b"):
        jobs.enqueue(Kind.CREATE, name, OPTIONS)
    sample = jobs.enqueue(Kind.SAMPLE, "", OPTIONS)
    claim = taken(claims, frozenset({Kind.SAMPLE}))
    assert claim.job.id == sample.id
    assert claims.take(frozenset({Kind.SAMPLE})) is None
    claims.release(claim)


def test_a_mail_is_due_with_the_end_of_its_job_until_it_is_settled(jobs: Jobs, claims: Claims) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS, "ann@example.org")
    claim = claims.take(ALL)
    assert claim is not None
    assert claims.take_mail() is None
    claims.finish(claim.job, State.DONE)
    claims.release(claim)
    taken = claims.take_mail()
    assert taken is not None
    assert taken.id == job.id
    assert claims.take_mail() is None
    claims.settle_mail(job, "no such user")
    assert reread(jobs, job).mail_problem == "no such user"
