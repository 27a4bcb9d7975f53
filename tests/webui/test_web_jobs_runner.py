"""Claims and the runner: one process for one job, stopped, taken back, and never lost, on SQLite and PostgreSQL."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, SessionTransaction

from tellapart.errors import TellapartError
from tellapart.settings import Settings
from webui import leftovers, queue, runner
from webui.claims import LEASE, Claim, Claims, this_process
from webui.database import Database
from webui.job_command import job_command, sample_folder
from webui.jobs import Job, Jobs, Kind, State, WorkerSeen, utc_now
from webui.queue import Queue, SignedJson
from webui.runner import Runner
from webui.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"classes": ["cat", "-dog"], "sources": ["gallery"], "per_class": 5, "license": "known"}
ALL = frozenset(Kind)
MANY = 1600
TELL = "import json, sys, time, signal\ndef tell(event, **v): print(json.dumps({'event': event, **v}), flush=True)\n"
PROGRESS = "tell('progress', stage='head', done=3, total=9, unit='folds', seconds=1.0, counts={}, note='', "
PROGRESS += "finished=False, values={'loss': 0.5})\n"
UNTIL_STOPPED = "def stop(*_): tell('stopped'); sys.exit(130)\nsignal.signal(signal.SIGTERM, stop)\n" + PROGRESS
UNTIL_STOPPED += "while True: time.sleep(0.02)\n"


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


def taken(claims: Claims, kinds: frozenset[Kind] = ALL) -> Claim:
    claim = claims.take(kinds)
    assert claim is not None
    return claim


def reread(jobs: Jobs, job: Job) -> Job:
    found = jobs.find(job.id)
    assert found is not None
    return found


# Claims


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


def test_samples_are_taken_beside_a_training(lite: tuple[Jobs, Claims]) -> None:
    jobs, claims = lite
    for name in ("a", "b"):
        jobs.enqueue(Kind.CREATE, name, OPTIONS)
    sample = jobs.enqueue(Kind.SAMPLE, "", OPTIONS)
    claim = taken(claims, frozenset({Kind.SAMPLE}))
    assert claim.job.id == sample.id
    assert claims.take(frozenset({Kind.SAMPLE})) is None
    claims.release(claim)


# The command line


def test_the_command_keeps_words_that_look_like_options_apart(settings: Settings) -> None:
    job = Job(id="x" * 22, kind=Kind.CREATE, name="pets", options=OPTIONS)
    words = job_command(job, settings)
    assert words[:4] == [sys.executable, "-m", "cli", "create"]
    assert words[words.index("--") :] == ["--", "pets", "cat", "-dog"]
    assert words[words.index("--license") + 1] == "known"
    sample = job_command(Job(id="y" * 22, kind=Kind.SAMPLE, name="", options=OPTIONS), settings)
    assert sample[sample.index("--") :] == ["--", str(settings.home / "web/samples" / ("y" * 22)), "cat", "-dog"]
    train = job_command(Job(id="z", kind=Kind.TRAIN, name="pets", options={}), settings)
    assert train[3:] == ["train", str(settings.datasets / "pets"), "--name", "pets", "--progress", "json"]


# The runner


@pytest.fixture
def run(lite: tuple[Jobs, Claims], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Runs a create whose process is this program; `meanwhile` is called when it has said something."""
    jobs, claims = lite
    monkeypatch.setattr(runner, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(runner, "_WRITE_SECONDS", 0.0)

    def go(program: str, meanwhile: Callable[[Job], Any] | None = None, stopping: Any = None) -> Job:
        monkeypatch.setattr(runner, "job_command", lambda *_: [sys.executable, "-c", TELL + program])
        job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
        claim = taken(claims)
        work = threading.Thread(target=Runner(claims, settings, stopping or (lambda: False)).run, args=(claim,))
        work.start()
        if meanwhile:
            while not reread(jobs, job).stages:
                assert work.is_alive()
            meanwhile(job)
        work.join(120)
        assert not work.is_alive()
        return reread(jobs, job)

    return go


def test_a_job_that_succeeds_is_done_with_all_it_said(run: Callable[..., Job]) -> None:
    job = run("print('no json'); print('[1]')\n" + PROGRESS * 2 + "tell('result', tag='pets:1', accuracy=0.9)")
    assert (job.state, job.error, job.worker) == (State.DONE, "", "")
    assert job.result == {"tag": "pets:1", "accuracy": 0.9}
    (stage,) = job.stages
    assert (stage["stage"], stage["done"], stage["total"]) == ("head", 3, 9)
    assert stage["points"] == [{"at": 3, "loss": 0.5}] * 2
    assert job.started is not None
    assert job.finished is not None
    assert job.started <= job.finished


@pytest.mark.parametrize(
    ("program", "error", "fix"),
    [
        ("tell('error', message='no pictures', fix='Use other words', exit_code=4); sys.exit(4)", "no pictures", "Use"),
        ("tell('error', message='odd', fix='', exit_code=1); sys.exit(1)", "odd", "press Resume"),
        ("print('gone wrong', file=sys.stderr); sys.exit(3)", "(status 3: gone wrong)", "press Resume"),
        ("import os; os.kill(os.getpid(), 9)", "(signal SIGKILL)", "press Resume"),
    ],
)
def test_a_job_that_fails_says_what_to_do(run: Callable[..., Job], program: str, error: str, fix: str) -> None:
    job = run(program)
    assert job.state == State.FAILED
    assert error in job.error
    assert fix in job.fix


def test_a_job_whose_output_is_closed_is_still_followed(run: Callable[..., Job], lite: tuple[Jobs, Claims]) -> None:
    program = PROGRESS + "import os; os.close(1)\nwhile True: time.sleep(0.02)\n"
    job = run(program, lambda job: lite[0].stop(job.id))
    assert job.state == State.STOPPED


def test_what_a_job_left_running_keeps_nobody_waiting(
    run: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "_DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(runner, "_STOP_SECONDS", 0.1)
    script = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    program = f"import subprocess; subprocess.Popen([sys.executable, '-c', {script!r}], start_new_session=True)\n"
    program += f"while not os.path.exists({str(tmp_path / 'pid')!r}): time.sleep(0.02)\ntell('result', tag='pets:1')"
    try:
        assert run("import os\n" + program).state == State.DONE
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_job_stops_when_somebody_stops_it(run: Callable[..., Job], lite: tuple[Jobs, Claims]) -> None:
    job = run(UNTIL_STOPPED, lambda job: lite[0].stop(job.id))
    assert (job.state, job.error) == (State.STOPPED, "")


def test_a_job_goes_back_in_the_queue_when_its_worker_is_told_to_end(run: Callable[..., Job]) -> None:
    ending = threading.Event()
    job = run(UNTIL_STOPPED, lambda _: ending.set(), ending.is_set)
    assert (job.state, job.worker) == (State.QUEUED, "")


def test_a_process_that_does_not_stop_is_ended(
    run: Callable[..., Job], lite: tuple[Jobs, Claims], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_STOP_SECONDS", 0.2)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PROGRESS + "while True: time.sleep(0.02)\n"
    assert run(deaf, lambda job: lite[0].stop(job.id)).state == State.STOPPED


def test_a_process_whose_job_was_given_to_another_is_stopped(
    run: Callable[..., Job], settings: Settings, lite: tuple[Jobs, Claims]
) -> None:
    database = Database(settings)

    def give_away(job: Job) -> None:
        with database.writing() as session:
            session.get_one(Job, job.id).worker = "another"

    job = run(UNTIL_STOPPED, give_away)
    assert (job.state, job.worker) == (State.RUNNING, "another")
    database.close()


def test_an_unexpected_failure_leaves_no_job_hanging(
    lite: tuple[Jobs, Claims], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, claims = lite
    monkeypatch.setattr(runner, "job_command", lambda *_: 1 / 0)
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    Runner(claims, settings, lambda: False).run(taken(claims))
    assert reread(jobs, job).state == State.FAILED
    assert "ZeroDivisionError" in reread(jobs, job).error


def test_a_job_that_could_not_be_written_down_is_taken_back(
    lite: tuple[Jobs, Claims], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, claims = lite
    monkeypatch.setattr(runner, "job_command", lambda *_: [sys.executable, "-c", "pass"])
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    with monkeypatch.context() as away:
        away.setattr(claims, "finish", broken)
        with pytest.raises(TellapartError):
            Runner(claims, settings, lambda: False).run(taken(claims))
    assert reread(jobs, job).state == State.RUNNING
    claims.take_back_lost()
    assert reread(jobs, job).state == State.QUEUED


def test_a_job_that_has_ended_is_not_taken_back_before_that_is_written_down(
    run: Callable[..., Job], lite: tuple[Jobs, Claims], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, claims = lite
    finish = claims.finish

    def looked_at_just_before(*ending: Any) -> Job | None:
        claims.take_back_lost()
        return finish(*ending)

    monkeypatch.setattr(claims, "finish", looked_at_just_before)
    assert run("tell('result', tag='pets:1')").state == State.DONE


def test_a_claim_that_could_not_be_written_down_can_be_made_again(
    lite: tuple[Jobs, Claims], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, claims = lite
    jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    with monkeypatch.context() as away:
        away.setattr(Session, "commit", broken)
        away.setattr(SessionTransaction, "commit", broken)
        with pytest.raises(TellapartError):
            claims.take(ALL)
    assert taken(claims).job.name == "pets"


def broken(*_: object, **__: object) -> None:
    raise TellapartError("the disk is full")


# The queue


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def queue_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    return replace(settings, queue_url=request.getfixturevalue("redis_url")) if request.param == "redis" else settings


def test_a_message_wakes_a_worker_and_says_nothing_else(queue_settings: Settings) -> None:
    done: list[str] = []
    pages, worker = Queue(queue_settings), Queue(queue_settings, lambda: done.append("worked"))
    pages.wake()
    pages.wake_if_empty()
    assert worker.huey.pending_count() == 1
    worker.huey.execute(worker.huey.dequeue())
    assert done == ["worked"]
    assert worker.huey.pending_count() == 0


def test_only_signed_json_is_read() -> None:
    ours, theirs = SignedJson("key"), SignedJson("other")
    assert ours.deserialize(ours.serialize({"a": [1, None]})) == {"a": [1, None]}
    for message in (theirs.serialize("x"), b"cos\nsystem\n(S'true'\ntR.", b"", b":", ours.serialize("x") + b" "):
        with pytest.raises(ValueError, match="not signed"):
            ours.deserialize(message)


def test_a_queue_that_is_away_loses_no_job(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(settings)
    jobs = Jobs(database, Queue(replace(settings, queue_url="redis://127.0.0.1:9/0")).wake)
    assert reread(jobs, jobs.enqueue(Kind.CREATE, "pets", OPTIONS)).state == State.QUEUED
    assert "the queue of jobs cannot be reached" in caplog.text
    database.close()


def test_a_worker_wakes_itself_where_a_message_was_lost(settings: Settings) -> None:
    worker = Worker(settings)
    database = Database(settings)
    Jobs(database, lambda: None).enqueue(Kind.CREATE, "pets", OPTIONS)
    worker.look()
    worker.look()
    assert worker.queue.huey.pending_count() == 1
    database.close()


def test_a_worker_is_seen_while_it_is_there(lite: tuple[Jobs, Claims], settings: Settings) -> None:
    jobs, _ = lite
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    worker = Worker(settings)
    assert jobs.lack_worker([job])
    worker.look()
    assert jobs.standing(job).worker
    assert not jobs.lack_worker([job])
    with (database := Database(settings)).writing() as session:
        session.scalars(select(WorkerSeen)).one().seen = utc_now() - timedelta(seconds=30)
    assert not jobs.standing(job).worker
    worker._said = -60.0
    worker.look()
    worker.leave()
    assert jobs.lack_worker([job])
    assert not jobs.lack_worker([])
    database.close()


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


def test_old_samples_are_forgotten_with_their_pictures(lite: tuple[Jobs, Claims], settings: Settings) -> None:
    jobs, _ = lite
    database = Database(settings)
    made = [jobs.enqueue(Kind.SAMPLE, "", OPTIONS) for _ in range(3)]
    kept = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    with database.writing() as session:
        for job in (*made[:2], kept):
            row = session.get_one(Job, job.id)
            row.created, row.state = utc_now() - leftovers.KEEP * 2, State.DONE
        session.get_one(Job, made[1].id).state = State.RUNNING
    for job in made:
        (sample_folder(job, settings) / "images").mkdir(parents=True)
    leftovers.sweep(database, settings)
    with database.reading() as session:
        assert set(session.scalars(select(Job.id))) == {made[1].id, made[2].id, kept.id}
    assert [sample_folder(job, settings).exists() for job in made] == [False, True, True]
    database.close()


def test_files_of_jobs_that_are_gone_are_swept_away(lite: tuple[Jobs, Claims], settings: Settings) -> None:
    jobs, _ = lite
    database, web = Database(settings), settings.home / "web"
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    old = [web / "jobs" / "gone.log", web / "locks" / "gone.lock", settings.cache / "exports" / "pets-v1-pt.part"]
    held, kept = web / "locks" / "held.lock", [web / "jobs" / f"{job.id}.log", web / "locks" / "pets.lock"]
    fresh = [web / "jobs" / "fresh.log", settings.cache / "exports" / "pets-v2-pt.part"]
    for path in (*old, held, *kept, *fresh):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if path.suffix == ".part" else path.touch()
        if path not in fresh:
            os.utime(path, (0, 0))
    with held.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        leftovers.sweep(database, settings)
    assert [path for path in (*old, held, *kept, *fresh) if path.exists()] == [held, *kept, *fresh]
    database.close()


# A worker as a process


@pytest.fixture
def many(tmp_path: Path, make_photo: Callable[..., bytes]) -> Path:
    for number in range(MANY):
        folder = tmp_path / "many" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(make_photo(number, size=(48, 48)))
    return tmp_path / "many"


def start_worker(settings: Settings) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TELLAPART_HOME": str(settings.home)}
    return subprocess.Popen(
        [sys.executable, "-m", "webui.worker"], env=environment, cwd=Path(runner.__file__).parents[1]
    )


def until_more_is_kept(worker: subprocess.Popen[bytes], jobs: Jobs, job: Job, before: int = 0) -> int:
    """Wait until the job has more pictures than before; gives how many."""
    while (done := sum(stage["done"] for stage in reread(jobs, job).stages)) <= before:
        assert worker.poll() is None
        time.sleep(0.01)
    return done


def test_jobs_survive_workers_that_are_killed_or_told_to_end(
    lite: tuple[Jobs, Claims], settings: Settings, many: Path
) -> None:
    jobs, _ = lite
    options = {"classes": ["cat", "dog"], "sources": [f"folder:{many}"], "per_class": MANY // 2}
    job = jobs.enqueue(Kind.SAMPLE, "", options)
    left = settings.home / "web" / "jobs" / "gone.log"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, 0))
    worker = start_worker(settings)
    try:
        done = until_more_is_kept(worker, jobs, job)
        below = psutil.Process(worker.pid).children(recursive=True)
        assert len(below) == 1
        worker.kill()
        worker.wait()
        assert psutil.wait_procs(below, 120)[1] == []

        worker = start_worker(settings)
        until_more_is_kept(worker, jobs, job, done)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(120) == 0
        assert reread(jobs, job).state == State.QUEUED

        worker = start_worker(settings)
        while (now := reread(jobs, job)).active or left.exists():
            assert worker.poll() is None
            time.sleep(0.05)
        assert (now.state, now.error) == (State.DONE, "")
        assert now.result["kept"] == {"cat": MANY // 2, "dog": MANY // 2}
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(120) == 0


def test_a_redis_that_never_answers_holds_nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_SOCKET_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        waking = threading.Thread(target=Queue(replace(settings, queue_url=url)).wake, daemon=True)
        waking.start()
        waking.join(60)
        assert not waking.is_alive()
