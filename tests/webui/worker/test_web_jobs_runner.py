"""The runner: one process for one job, followed line by line, stopped, and never lost."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, SessionTransaction

from tellapart.errors import TellapartError
from tellapart.settings import Settings
from tests.webui.worker.helpers import ALL, OPTIONS, reread, taken
from webui import runner
from webui.claims import Claims
from webui.database import Database
from webui.job_command import job_command
from webui.jobs import Job, Jobs, Kind, State
from webui.runner import Runner

TELL = "import json, sys, time, signal\ndef tell(event, **v): print(json.dumps({'event': event, **v}), flush=True)\n"
PROGRESS = "tell('progress', stage='head', done=3, total=9, unit='folds', seconds=1.0, counts={}, note='', "
PROGRESS += "finished=False, values={'loss': 0.5})\n"
UNTIL_STOPPED = "def stop(*_): tell('stopped'); sys.exit(130)\nsignal.signal(signal.SIGTERM, stop)\n" + PROGRESS
UNTIL_STOPPED += "while True: time.sleep(0.02)\n"


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
        ("tell('error', message='few', fix='', exit_code=3); sys.exit(3)", "few", "change what it was asked for"),
        ("print('gone wrong', file=sys.stderr); sys.exit(3)", "(status 3: gone wrong)", "press Resume"),
        ("import os; os.kill(os.getpid(), 9)", "(signal SIGKILL)", "press Resume"),
    ],
)
def test_a_job_that_fails_says_what_to_do(run: Callable[..., Job], program: str, error: str, fix: str) -> None:
    job = run(program)
    assert job.state == State.FAILED
    assert error in job.error
    assert fix in job.fix
    assert job.refused == ("change" in fix)


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
