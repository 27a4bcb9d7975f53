"""The page of a job without a browser: what it shows, its buttons, its words."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.none_of_these import ALWAYS_ANSWERS
from tellapart.pictures import Reason, Status
from tellapart.settings import Settings
from webui.app import create_app
from webui.claims import Claims, this_process
from webui.client import ServiceClient
from webui.database import Database
from webui.job_view import view
from webui.jobs import Job, Jobs, Kind, State, utc_now
from webui.words import duration_words, stage_words

OPTIONS = {"classes": ["cat", "dog"], "sources": ["openverse"], "license": "any", "per_class": 20}
GOOD = {"classes": "cat, dog", "sources": "openverse", "license": "any", "per_class": "20", "action": "start"}
FORM = {"classes": "cat, dog", "name": "", "sources": ["openverse"], "folder": "", "license": "any", "email": ""}


@pytest.fixture
def database(app: Flask) -> Database:
    found: Database = app.extensions["tellapart"].database
    return found


@pytest.fixture
def worker(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Claims:
    """A worker that is not missed soon, however slow the machine is."""
    monkeypatch.setattr("webui.jobs._PRESENT", timedelta(days=1))
    return Claims(database, settings.home / "web" / "locks", this_process())


def test_the_page_shows_phases_classes_and_pictures(
    web: FlaskClient, jobs: Jobs, worker: Claims, settings: Settings, fill: Any, change: Any, stage: Any
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    assert "No worker is running" in web.get(f"/jobs/{job.id}").text
    worker.say_here()
    assert "It starts in a moment." in web.get(f"/jobs/{job.id}").text
    digests = fill(settings.datasets / "pets", {"cat": 3})
    stages = [stage("collect cat", 10, counts={"kept": 10, "rejected": 4}), stage("collect dog", 5)]
    change(job, state=State.RUNNING, stages=stages)
    page = web.get(f"/jobs/{job.id}").text
    for shown in (
        "15 of up to 40 pictures",
        "4 more pictures looked at and not taken",
        "10 of up to 20",
        "left</span>",
        ">Stop<",
    ):
        assert shown in page
    assert 'http-equiv="refresh"' in page
    pictures = re.findall(rf"/jobs/{job.id}/pictures/(\w+)\.jpg", page)
    assert pictures == digests[::-1]
    answer = web.get(f"/jobs/{job.id}/pictures/{digests[0]}.jpg")
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    answer.close()


def test_pictures_that_are_all_there_are_not_waited_for(settings: Settings, stage: Any) -> None:
    def shown(*finished: bool) -> str:
        stages = [stage(f"collect {name}", 8, finished=yes) for name, yes in zip(("cat", "dog"), finished, strict=True)]
        job = Job(id="x", kind=Kind.CREATE, name="pets", options=OPTIONS, state=State.RUNNING, stages=stages, result={})
        return view(job, settings).phases[0].stages[0].detail

    assert shown(True, False) == "16 of up to 40 pictures"
    assert shown(True, True) == "16 pictures"


def test_phases_follow_the_stages(settings: Settings, stage: Any) -> None:
    def states(job: Job) -> list[str]:
        return [phase.state for phase in view(job, settings).phases]

    def job(state: State, *stages: dict[str, Any], kind: Kind = Kind.CREATE) -> Job:
        return Job(id="x", kind=kind, name="pets", options=OPTIONS, state=state, stages=list(stages), result={})

    collect, features, head = stage("collect cat", 5), stage("features", 9, 18), stage("head", 1, None)
    assert states(job(State.QUEUED)) == ["waiting"] * 4
    assert states(job(State.RUNNING)) == ["now", "waiting", "waiting", "waiting"]
    assert states(job(State.RUNNING, collect, features)) == ["done", "now", "waiting", "waiting"]
    assert states(job(State.FAILED, collect, features, head)) == ["done", "done", "halted", "waiting"]
    assert states(job(State.DONE, head)) == ["done"] * 4
    assert states(job(State.RUNNING, features, kind=Kind.TRAIN)) == ["now", "waiting", "waiting"]
    running = view(job(State.RUNNING, collect, features), settings)
    assert running.left == "a few seconds left"  # 9 of 18 in 2 seconds
    assert view(job(State.RUNNING, collect, head), settings).left == ""


def test_what_is_for_terminals_is_not_on_the_page(settings: Settings, stage: Any) -> None:
    note = "12 pictures may be wrong, 3 of them almost certainly; to see them: tellapart curate pets"
    stages = [
        stage("check", 0, None, True, note=note),
        stage("log", 0, None, True, note="tensorboard --logdir x"),
        stage("head", 60, None, True, unit="folds"),
    ]
    job = Job(id="x", kind=Kind.TRAIN, name="pets", options={}, state=State.RUNNING, stages=stages)
    shown = [(s.title, s.detail, s.note) for phase in view(job, settings).phases for s in phase.stages]
    assert shown == [
        ("Pictures to look at", "", "12 pictures may be wrong, 3 of them almost certainly"),
        ("Learning to tell the classes apart", "", ""),
    ]


def test_curves_are_drawn_of_what_was_measured(web: FlaskClient, jobs: Jobs, change: Any, stage: Any) -> None:
    job = jobs.enqueue(Kind.TRAIN, "pets", {})
    points = [{"at": 1, "loss": 1.0}, {"at": 2, "loss": 0.5, "accuracy": 0.9}, {"at": 3, "loss": 0.0}]
    change(job, state=State.RUNNING, stages=[stage("finetune", 3, points=points)])
    page = web.get(f"/jobs/{job.id}").text
    assert 'points="0.0,4.0 160.0,60.0 320.0,116.0"' in page
    assert "loss from 1 to 0" in page
    assert "accuracy" not in page, "one point is no curve"


def test_how_a_job_ended_and_what_to_do(web: FlaskClient, jobs: Jobs, database: Database, change: Any) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    change(job, state=State.FAILED, error="no pictures for '<b>'", fix="Use other words", finished=utc_now())
    page = web.get(f"/jobs/{job.id}").text
    assert "No pictures for &#39;&lt;b&gt;&#39;.</strong> Use other words." in page
    assert ">Resume<" in page
    assert 'http-equiv="refresh"' not in page
    result = {"tag": "pets:v1", "accuracy": 0.93, "accuracy_low": 0.9, "accuracy_high": 0.95, "n": 40}
    change(job, state=State.DONE, error="", fix="", result=result, mail_problem="the mail could not be sent: x")
    page = web.get(f"/jobs/{job.id}").text
    for shown in (
        "93.0\xa0%",
        "between 90.0\xa0% and 95.0\xa0%",
        'href="/classify?model=pets"',
        "The mail could not be sent: x.",
    ):
        assert shown in page
    assert ">Resume<" not in page
    assert ALWAYS_ANSWERS not in page
    change(job, result=result | {"says_none": True})
    assert ALWAYS_ANSWERS not in web.get(f"/jobs/{job.id}").text
    change(job, result=result | {"says_none": False})
    assert ALWAYS_ANSWERS in web.get(f"/jobs/{job.id}").text


def test_why_pictures_were_not_taken_is_told_at_the_end(
    web: FlaskClient, jobs: Jobs, settings: Settings, fill: Any, change: Any
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    fill(settings.datasets / "pets", {"cat": 2})
    small = [Attempt(f"https://x.example/{n}", "cat", Status.REJECTED, Reason.TOO_SMALL) for n in range(3)]
    again = Attempt("https://x.example/again", "cat", Status.REJECTED, Reason.DUPLICATE)
    other = Attempt("https://x.example/other", "nothing", Status.REJECTED, Reason.EMPTY)
    Dataset.open(settings.datasets / "pets").manifest.add([*small, again, other])
    told = "Found and not taken: 3 × too small to tell anything; 1 × the same picture again."
    change(job, state=State.RUNNING)
    assert "Found and not taken" not in web.get(f"/jobs/{job.id}").text
    change(job, state=State.STOPPED)
    assert told in web.get(f"/jobs/{job.id}").text


@pytest.mark.parametrize(
    ("classes", "sources", "exit_code", "resumable"),
    [
        (["birds", "zebra"], ["gallery"], 4, False),
        (["birds", "red mammals"], ["gallery"], 4, False),
        (["birds", "sea mammals"], ["gallery"], 4, True),  # the gallery itself could not be asked
        (["birds", "zebra"], ["gallery"], 1, True),
        (["birds", "zebra"], ["gallery", "openverse"], 4, True),
    ],
)
def test_what_the_gallery_lacks_is_not_looked_for_again(
    settings: Settings, tmp_path: Path, classes: list[str], sources: list[str], exit_code: int, resumable: bool
) -> None:
    for name in ("birds/a.png", "sea/mammals/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    options = OPTIONS | {"classes": classes, "sources": sources}
    job = Job(
        kind=Kind.CREATE, name="x", options=options, state=State.FAILED, result={"exit_code": exit_code}, stages=[]
    )
    assert view(job, replace(settings, gallery_folder=tmp_path)).resumable is resumable


@pytest.mark.parametrize("exit_code", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", [Kind.CREATE, Kind.TRAIN])
def test_what_helps_is_offered_and_to_resume_only_where_it_does(
    web: FlaskClient, jobs: Jobs, settings: Settings, fill: Any, change: Any, kind: Kind, exit_code: int
) -> None:
    def offered() -> list[str]:
        page = web.get(f"/jobs/{job.id}").text
        return re.findall(r'class="btn btn-\w+"[^>]*>([^<]+)<', page[page.index('id="part-actions"') :])

    job = jobs.enqueue(kind, "pets", OPTIONS)
    change(job, state=State.FAILED, error="no", fix="Do", result={"exit_code": exit_code})
    settings_link = ["Change the settings"] if kind == Kind.CREATE else []
    resume = [] if exit_code in (2, 3) else ["Resume"]
    assert offered() == [*resume, *settings_link, "Forget this job"]
    fill(settings.datasets / "pets", {"cat": 1})
    assert offered() == [*resume, *settings_link, "Look through its pictures", "Forget this job"]
    assert 'href="/datasets/pets"' in web.get(f"/jobs/{job.id}").text


def test_stop_and_resume_are_buttons(
    web: FlaskClient, jobs: Jobs, settings: Settings, service_client: ServiceClient
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    assert web.post(f"/jobs/{job.id}/stop").location == f"/jobs/{job.id}"
    assert jobs.find(job.id).state == State.STOPPED  # type: ignore[union-attr]
    other = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    assert web.post(f"/jobs/{job.id}/resume").location == f"/jobs/{other.id}"
    jobs.stop(other.id)
    web.post(f"/jobs/{job.id}/resume")
    assert jobs.find(job.id).state == State.QUEUED  # type: ignore[union-attr]
    guarded = create_app(settings, client=service_client).test_client()
    for path in (f"/jobs/{job.id}/stop", f"/jobs/{job.id}/resume", "/create"):
        assert guarded.post(path, data=GOOD).status_code == 400
        assert guarded.get(path).location == (path.rpartition("/")[0] or "/")
    assert jobs.find(job.id).state == State.QUEUED  # type: ignore[union-attr]


def test_what_waits_says_so_where_no_worker_is(web: FlaskClient, jobs: Jobs, worker: Claims) -> None:
    first, second = (jobs.enqueue(Kind.CREATE, name, OPTIONS) for name in ("pets", "cars"))
    sample = jobs.enqueue(Kind.SAMPLE, "", {**OPTIONS, "form": FORM})
    paths = ("/", "/jobs", f"/jobs/{first.id}", f"/create/{sample.id}")
    note = "No worker is running, so nothing is done. Start one with <code>tellapart worker</code>"
    assert [note in web.get(path).text for path in paths] == [True] * 4
    seen = web.get(f"/jobs/{second.id}/live").headers["ETag"]
    worker.say_here()
    assert [note in web.get(path).text for path in paths] == [False] * 4
    asked = web.get(f"/jobs/{second.id}/live", headers={"If-None-Match": seen})
    assert "After 1 other job." in asked.text
    jobs.stop(first.id)
    asked = web.get(f"/jobs/{second.id}/live", headers={"If-None-Match": asked.headers["ETag"]})
    assert "It starts in a moment." in asked.text


def test_a_stopped_job_is_changed_or_forgotten(web: FlaskClient, jobs: Jobs, settings: Settings) -> None:
    options = OPTIONS | {"sources": ["openverse", f"folder:{settings.home}"], "license": "commercial"}
    job = jobs.enqueue(Kind.CREATE, "pets", options, "ann@example.org")
    assert web.post(f"/jobs/{job.id}/remove").location == "/"
    assert jobs.find(job.id) is not None, "it is still at work"
    jobs.stop(job.id)
    page = web.get(f"/jobs/{job.id}").text
    assert re.search(rf'href="/\?form={job.id}"[^>]*>Change the settings<', page)
    form = web.get(f"/?form={job.id}").text
    for value in ("cat, dog", "pets", str(settings.home), "20", "ann@example.org"):
        assert f'value="{value}"' in form
    assert re.search(r'value="commercial" selected', form)
    assert "Forget this job" in page
    web.post(f"/jobs/{job.id}/remove")
    assert jobs.find(job.id) is None


@pytest.mark.parametrize("tail", ["", "/live", "/events", "/pictures/" + "0" * 64 + ".jpg", "/pictures/..%2Fx.jpg"])
def test_unknown_and_foreign_jobs_are_the_same_404(web: FlaskClient, jobs: Jobs, tail: str) -> None:
    foreign = jobs.enqueue(Kind.CREATE, "pets", OPTIONS, owner="somebody")
    answers = [web.get(f"/jobs/{job_id}{tail}") for job_id in (foreign.id, "A" * 22, "x" * 3000)]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert len({answer.text for answer in answers}) == 1
    assert web.get(f"/create/{foreign.id}").status_code == 404
    assert web.post(f"/jobs/{foreign.id}/stop").status_code == 404
    assert web.get("/jobs/%00").status_code == 404
    assert jobs.find(foreign.id, "somebody").state == State.QUEUED  # type: ignore[union-attr]


def test_jobs_are_on_the_front_page(web: FlaskClient, jobs: Jobs) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    page = web.get("/").text
    assert f'href="/jobs/{job.id}"' in page
    assert "Waiting" in page


def test_the_front_page_needs_no_service(settings: Settings) -> None:
    page = create_app(settings, client=ServiceClient("http://127.0.0.1:9")).test_client().get("/")
    assert page.status_code == 200
    assert "The classifiers cannot be listed now: the service cannot be reached" in page.text


def test_a_job_that_is_claimed_says_so_on_its_page(
    web: FlaskClient, jobs: Jobs, database: Database, settings: Settings
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    claims = Claims(database, settings.home / "web" / "locks", this_process())
    claim = claims.take(frozenset(Kind))
    assert claim is not None
    assert "Getting ready" in web.get(f"/jobs/{job.id}").text
    claims.release(claim)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"), (12, "about 10 seconds"), (49, "about 50 seconds"), (50, "about a minute"),
        (89, "about a minute"), (150, "about 2 minutes"), (3500, "about 58 minutes"), (3600, "about an hour"),
        (9000, "about 2 hours"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_every_stage_has_words() -> None:
    assert stage_words("collect big cat") == "Collecting big cat"
    assert stage_words("problem 2") == "A source had trouble"
    assert stage_words("features") == "Looking at every picture"
    assert stage_words("something new") == "Something new"
