"""The queue, and the worker as a process: woken, killed, told to end; what it sweeps away."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from tellapart.errors import TellapartError
from tellapart.settings import Settings
from tests.webui.worker.helpers import OPTIONS, reread
from webui import leftovers, queue, runner
from webui.claims import Claims
from webui.database import Database
from webui.job_command import sample_folder
from webui.jobs import Job, Jobs, Kind, State, WorkerSeen, utc_now
from webui.queue import Queue, SignedJson
from webui.worker import Worker, beat

MANY = 100  # several times `gated.FEW`
LONG = 300  # seconds, on a machine that is busy with other things


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


def test_a_worker_is_seen_while_it_is_there(
    lite: tuple[Jobs, Claims], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.jobs._PRESENT", timedelta(minutes=30))
    jobs, _ = lite
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    worker = Worker(settings)
    assert jobs.lack_worker([job])
    worker.look()
    assert jobs.standing(job).worker
    assert not jobs.lack_worker([job])
    with (database := Database(settings)).writing() as session:
        session.scalars(select(WorkerSeen)).one().seen = utc_now() - timedelta(minutes=31)
    assert not jobs.standing(job).worker
    worker._said = -60.0
    worker.look()
    worker.leave()
    assert jobs.lack_worker([job])
    assert not jobs.lack_worker([])
    database.close()


def test_a_sign_of_life_is_given_only_where_the_database_answers_and_no_thread_is_stuck(
    lite: tuple[Jobs, Claims], settings: Settings, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, _ = lite
    jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    worker, working, end = Worker(settings), threading.Event(), threading.Event()

    def run(_: object) -> None:
        working.set()
        assert end.wait(60)

    def signs() -> int:
        """After a look, and without what the looks before left."""
        for sign in temporary.glob("tellapart-worker-*"):
            sign.unlink()
        with suppress(TellapartError):
            worker.look()
        return len(list(temporary.glob("tellapart-worker-*")))

    monkeypatch.setattr(worker._runner, "run", run)
    lane = threading.Thread(target=worker.work, daemon=True)
    lane.start()
    assert working.wait(60)
    assert signs() == 1
    monkeypatch.setattr("webui.worker._STUCK_SECONDS", 0.0)
    assert signs() == 0, "its thread was not heard of for so long"
    end.set()
    lane.join()
    assert signs() == 1, "nothing is done, so nothing is stuck"

    def refuse() -> None:
        raise TellapartError("the database is away")

    monkeypatch.setattr(worker._claims, "take_back_lost", refuse)
    assert signs() == 0
    beat()
    worker.leave()
    assert list(temporary.glob("tellapart-worker-*")) == []


def test_signs_of_workers_that_were_killed_are_swept(settings: Settings, temporary: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    for number in (ended.pid, os.getpid()):
        (temporary / f"tellapart-worker-{number}").touch()
    (temporary / f"other-{ended.pid}").touch()
    Worker(settings).sweep()
    assert {path.name for path in temporary.iterdir()} == {f"tellapart-worker-{os.getpid()}", f"other-{ended.pid}"}


def test_a_redis_that_never_answers_holds_nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_SOCKET_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        waking = threading.Thread(target=Queue(replace(settings, queue_url=url)).wake, daemon=True)
        waking.start()
        waking.join(60)
        assert not waking.is_alive()


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


@pytest.fixture
def many(tmp_path: Path, make_photo: Callable[..., bytes]) -> Path:
    for number in range(MANY):
        folder = tmp_path / "many" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(make_photo(number, size=(48, 48)))
    return tmp_path / "many"


def start_worker(settings: Settings, gate: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TELLAPART_HOME": str(settings.home)}
    command = [sys.executable, "-m", "tests.webui.worker.gated", str(gate)]
    return subprocess.Popen(command, env=environment, cwd=Path(runner.__file__).parents[1])


def until_more_is_kept(worker: subprocess.Popen[bytes], jobs: Jobs, job: Job, before: int = 0) -> int:
    """Wait until the job has more pictures than before; gives how many."""
    while (done := sum(stage["done"] for stage in reread(jobs, job).stages)) <= before:
        assert worker.poll() is None
        time.sleep(0.01)
    return done


@pytest.mark.timeout(4 * LONG)
def test_jobs_survive_workers_that_are_killed_or_told_to_end(
    lite: tuple[Jobs, Claims], settings: Settings, many: Path, tmp_path: Path
) -> None:
    (jobs, _), gate = lite, tmp_path / "gate"
    options = {"classes": ["cat", "dog"], "sources": [f"folder:{many}"], "per_class": MANY // 2}
    job = jobs.enqueue(Kind.SAMPLE, "", options)
    left = settings.home / "web" / "jobs" / "gone.log"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, 0))
    worker = start_worker(settings, gate)
    try:
        done = until_more_is_kept(worker, jobs, job)
        below = psutil.Process(worker.pid).children(recursive=True)
        assert len(below) == 1
        worker.kill()
        worker.wait()
        assert psutil.wait_procs(below, LONG)[1] == []

        worker = start_worker(settings, gate)
        until_more_is_kept(worker, jobs, job, done)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(LONG) == 0
        assert reread(jobs, job).state == State.QUEUED

        gate.touch()
        worker = start_worker(settings, gate)
        while (now := reread(jobs, job)).active or left.exists():
            assert worker.poll() is None
            time.sleep(0.05)
        assert (now.state, now.error) == (State.DONE, "")
        assert now.result["kept"] == {"cat": MANY // 2, "dog": MANY // 2}
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(LONG) == 0
