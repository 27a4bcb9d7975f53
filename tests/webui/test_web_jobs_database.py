"""The web page's database: made once whoever comes first, on SQLite and PostgreSQL, with errors for people."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.errors import DataError, TellapartError, UsageError
from tellapart.settings import Settings
from tellapart.wire import Result
from webui.claims import Claims
from webui.database import Database
from webui.feedback import FeedbackBook
from webui.jobs import MOST_ACTIVE, AlreadyThere, Job, Jobs, Kind, Standing, State
from webui.records import Entry
from webui.staging import Staging
from webui.users import Users

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"classes": ["cat", "dog"]}


@pytest.fixture
def woken() -> list[str]:
    return []


@pytest.fixture
def jobs(database: Database, woken: list[str]) -> Jobs:
    return Jobs(database, lambda: woken.append("woken"))


def test_a_job_is_kept_as_it_was_asked_for(jobs: Jobs, woken: list[str]) -> None:
    asked = jobs.enqueue(Kind.CREATE, "pets", OPTIONS, email="a@example.org")
    kept = jobs.find(asked.id)
    assert kept is not None
    assert (kept.kind, kept.name, kept.options, kept.state) == (Kind.CREATE, "pets", OPTIONS, State.QUEUED)
    assert (kept.email, kept.stages, kept.error, kept.result) == ("a@example.org", [], "", {})
    assert timedelta(0) <= datetime.now(UTC) - kept.created < timedelta(minutes=1)
    assert len(asked.id) == 22
    assert woken == ["woken"]


def test_nobody_finds_the_job_of_another(jobs: Jobs) -> None:
    mine = jobs.enqueue(Kind.CREATE, "pets", OPTIONS, owner="ann")
    assert jobs.find(mine.id, "ann")
    assert jobs.find(mine.id, "bob") is None
    assert jobs.find(mine.id) is None
    assert jobs.find("x" * 5000) is None
    assert [job.id for job in jobs.list("ann")] == [mine.id]
    assert jobs.list("bob") == jobs.list() == []


def test_a_name_has_one_unfinished_job_of_a_kind(jobs: Jobs) -> None:
    first = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    with pytest.raises(AlreadyThere) as refused:
        jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    assert refused.value.job_id == first.id
    jobs.enqueue(Kind.TRAIN, "pets", {})
    jobs.stop(first.id)
    second = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    with pytest.raises(AlreadyThere):
        jobs.resume(first.id)
    assert jobs.standing(second) == Standing(ahead=1, worker=False)


def test_nobody_fills_the_queue_for_all(jobs: Jobs) -> None:
    for owner in ("ann", None):
        made = [jobs.enqueue(Kind.CREATE, f"{owner or 'x'}-{n}", OPTIONS, owner=owner) for n in range(MOST_ACTIVE)]
        with pytest.raises(UsageError, match=f"{MOST_ACTIVE} jobs are unfinished"):
            jobs.enqueue(Kind.SAMPLE, "", OPTIONS, owner=owner)
        jobs.stop(made[0].id)
        jobs.enqueue(Kind.SAMPLE, "", OPTIONS, owner=owner)
        with pytest.raises(UsageError, match=f"{MOST_ACTIVE} jobs are unfinished"):
            jobs.resume(made[0].id)
        jobs.stop(made[1].id)
        jobs.resume(made[0].id)
        assert jobs.find(made[0].id, owner).active  # type: ignore[union-attr]


def test_a_job_is_forgotten_once_it_has_ended(jobs: Jobs) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    jobs.remove(job.id)
    assert [there.id for there in jobs.list()] == [job.id]
    jobs.stop(job.id)
    jobs.remove(job.id)
    jobs.remove(job.id)
    assert jobs.list() == []


@pytest.mark.parametrize("name", ["", "../pets", "Pets", "p" * 64, "pets\n", "<b>"])
def test_a_name_that_is_none_is_refused(jobs: Jobs, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        jobs.enqueue(Kind.CREATE, name, OPTIONS)
    assert jobs.list() == []


def test_stop_and_resume_change_only_what_they_can(jobs: Jobs, database: Database) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)

    def state_after(before: State, act: object) -> tuple[State, bool]:
        with database.writing() as session:
            session.get_one(Job, job.id).change(state=before)
        revision = jobs.find(job.id).revision  # type: ignore[union-attr]
        act(job.id)  # type: ignore[operator]
        after = jobs.find(job.id)
        assert after is not None
        return after.state, after.revision > revision

    assert state_after(State.QUEUED, jobs.stop) == (State.STOPPED, True)
    assert state_after(State.RUNNING, jobs.stop) == (State.STOPPING, True)
    for state in (State.STOPPING, State.STOPPED, State.DONE, State.FAILED):
        assert state_after(state, jobs.stop) == (state, False)
    for state in (State.STOPPED, State.FAILED):
        assert state_after(state, jobs.resume) == (State.QUEUED, True)
    for state in (State.QUEUED, State.RUNNING, State.STOPPING, State.DONE):
        assert state_after(state, jobs.resume) == (state, False)


def test_the_newest_come_first_and_unfinished_ones_before_all(jobs: Jobs) -> None:
    made = [jobs.enqueue(Kind.CREATE, name, OPTIONS) for name in ("a", "b", "c")]
    jobs.enqueue(Kind.SAMPLE, "", OPTIONS)
    jobs.stop(made[2].id)
    assert [job.name for job in jobs.list()] == ["b", "a", "c"]
    assert [job.name for job in jobs.list(most=2)] == ["b", "a"]


def test_processes_that_come_at_once_make_the_tables_once(settings: Settings) -> None:
    program = """if True:
        import sys
        from pathlib import Path
        from tellapart.settings import Settings
        from webui.database import Database
        from webui.jobs import Jobs, Kind
        sys.stdin.read()
        Jobs(Database(Settings(home=Path(sys.argv[1]))), lambda: None).enqueue(Kind.CREATE, sys.argv[2], {})
    """
    start = [sys.executable, "-W", "error", "-c", program, str(settings.home)]
    racing = [subprocess.Popen([*start, f"pets-{i}"], stdin=subprocess.PIPE, cwd=ROOT) for i in range(4)]
    for process in racing:
        assert process.stdin
        process.stdin.close()
    assert [process.wait(60) for process in racing] == [0] * 4
    database = Database(settings)
    assert len(Jobs(database, lambda: None).list()) == 4
    with database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM schema_version")).scalar() == 1
    database.close()


def test_writers_wait_for_each_other(jobs: Jobs) -> None:
    def enqueue(_: int) -> object:
        try:
            return jobs.enqueue(Kind.CREATE, "pets", OPTIONS).id
        except AlreadyThere as refused:
            return refused.job_id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(enqueue, range(24)))) == 1


@pytest.fixture
def write_the_same(database: Database, tmp_path: Path) -> dict[str, Callable[[], object]]:
    """Writing what another request writes just then, as from two tabs."""
    dataset = Dataset(tmp_path / "datasets" / "pets", "pets", (), ())
    staging, users, feedback = Staging(database, tmp_path), Users(database), FeedbackBook(database, tmp_path)
    answer = {"model": "pets:1", "top": "cat", "confidence": 1, "none_of_these": False, "predictions": []}
    result = Result.model_validate(answer | {"image": {"width": 1, "height": 1}, "time_ms": 1})
    entry = Entry(name="a.jpg", sha256="a" * 64, id="same", result=result)
    return {
        "staging": lambda: staging.stage(dataset, [Action("remove", "cat", f"{n:064}") for n in range(20)]),
        "users": lambda: users.add("ann", "a long password"),
        "feedback": lambda: feedback.tell(entry, right=True),
    }


@pytest.mark.parametrize("what", ["staging", "users", "feedback"])
def test_what_is_written_twice_at_once_is_there_once(
    write_the_same: dict[str, Callable[[], object]], what: str
) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: write_the_same[what](), range(24)))


@pytest.mark.parametrize("late", ["stop", "take_back_lost"])
def test_what_ended_meanwhile_stays_so(database: Database, jobs: Jobs, tmp_path: Path, late: str) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    claims = Claims(database, tmp_path, "this one")
    with database.writing() as session:
        session.merge(job).change(state=State.RUNNING, worker="another one that is gone")
    with ThreadPoolExecutor(1) as threads:
        with database.writing() as session:
            session.get_one(Job, job.id).change(state=State.DONE, worker="")
            session.flush()
            waiting = threads.submit({"stop": lambda: jobs.stop(job.id), "take_back_lost": claims.take_back_lost}[late])
            wait([waiting], timeout=0.5)  # it looks at the job, or waits to
        waiting.result(60)
    ended = jobs.find(job.id)
    assert ended
    assert ended.state == State.DONE


def test_a_newer_database_is_left_alone(settings: Settings) -> None:
    database = Database(settings)
    with database.writing() as session:
        session.execute(text("UPDATE schema_version SET version = 99"))
    database.close()
    with pytest.raises(DataError, match="version 99, this program reads 1"), Database(settings).reading():
        pass


@pytest.mark.parametrize("url", ["mysql://u:geheim@h/d", "sqlite:////tmp/x", "nonsense", "http://h:port/"])
def test_a_url_of_something_else_is_refused_without_its_password(settings: Settings, url: str) -> None:
    with pytest.raises(UsageError, match="TELLAPART_DATABASE_URL") as refused:
        Database(replace(settings, database_url=url))
    assert "geheim" not in str(refused.value)


def test_a_database_that_cannot_be_used_is_one_line(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "web").mkdir()
    (settings.home / "web" / "tellapart.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(TellapartError, match="cannot be used") as refused, Database(settings).reading():
        pass
    assert "\n" not in str(refused.value)
    away = replace(settings, database_url="postgresql://u:geheim@127.0.0.1:9/d")
    with pytest.raises(TellapartError, match="cannot be used") as refused, Database(away).reading():
        pass
    assert "geheim" not in str(refused.value)
