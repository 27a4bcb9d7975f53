"""The create form, the page of a job, and its stream, without a browser."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scraping.sources import source_words
from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.settings import Settings
from tellapart.source_list import SOURCES, lacking
from webui import events
from webui.app import create_app
from webui.claims import Claims, this_process
from webui.client import ServiceClient
from webui.database import Database
from webui.estimate import estimate
from webui.events import Now, open_stream
from webui.job_view import view
from webui.jobs import Job, Jobs, Kind, State, utc_now
from webui.words import duration_words, stage_words

OPTIONS = {"classes": ["cat", "dog"], "sources": ["openverse"], "license": "any", "per_class": 20}
GOOD = {"classes": "cat, dog", "sources": "openverse", "license": "any", "per_class": "20", "action": "start"}
FORM = {"classes": "cat, dog", "name": "", "sources": ["openverse"], "folder": "", "license": "any", "email": ""}
NASTY = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "cat\x00",
    "a\u202eb",
    "c" * 81,
    ".hidden",
    "{{7*7}}<b>",
    "a|b",
]


@pytest.fixture
def jobs(app: Flask) -> Jobs:
    found: Jobs = app.extensions["tellapart"].jobs
    return found


@pytest.fixture
def database(app: Flask) -> Database:
    found: Database = app.extensions["tellapart"].database
    return found


def stage(name: str, done: int, total: int | None = 20, finished: bool = False, **values: Any) -> dict[str, Any]:
    return {
        "stage": name, "done": done, "total": total, "unit": "pictures", "seconds": 2.0, "counts": {"kept": done},
        "note": "", "finished": finished, "points": [],
    } | values  # fmt: skip


def change(database: Database, job: Job, **values: Any) -> Job:
    with database.writing() as session:
        row = session.get_one(Job, job.id)
        row.change(**values)
    return row


def submit(web: FlaskClient, **fields: Any) -> Any:
    return web.post("/create", data={**GOOD, **fields})


# The form


def test_what_was_typed_becomes_a_job(web: FlaskClient, jobs: Jobs) -> None:
    answer = submit(web, classes=["big cat", "dog,  wolf "], sources=["openverse", "wikimedia"], license="commercial")
    (job,) = jobs.list()
    assert (answer.status_code, answer.location) == (303, f"/jobs/{job.id}")
    assert (job.kind, job.name) == (Kind.CREATE, "big-cat-dog-wolf")
    assert job.options == {
        "classes": ["big cat", "dog", "wolf"],
        "sources": ["openverse", "wikimedia"],
        "license": "commercial",
        "per_class": 20,
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ""}, "0 class names given"),
        ({"classes": "cat"}, "1 class name given"),
        ({"classes": "cat, Cat"}, "are the same once written"),
        ({"classes": ", ".join(f"class {i}" for i in range(1001))}, "1001 class names given"),
        *(({"classes": f"dog, {name}"}, "Class name") for name in NASTY),
        ({"sources": []}, "No source is chosen"),
        ({"sources": ["nowhere"]}, "no source &#39;nowhere&#39;"),
        ({"sources": ["folder:/etc"]}, "no source &#39;folder:/etc&#39;"),
        ({"sources": ["flickr"]}, "TELLAPART_FLICKR_KEY"),
        ({"per_class": "1"}, "Write a number from 2 to"),
        ({"per_class": "1e3"}, "Write a number from 2 to"),
        ({"per_class": "-5"}, "Write a number from 2 to"),
        ({"per_class": "9" * 5000}, "Write a number from 2 to"),
        ({"per_class": "000000002" + "9" * 9}, "Write a number from 2 to"),
        ({"per_class": "٣"}, "Write a number from 2 to"),
        ({"license": "mine"}, "is no choice of licences"),
        ({"name": "Pets"}, "cannot be used"),
        ({"name": "../pets"}, "cannot be used"),
        ({"name": "p" * 64}, "cannot be used"),
        ({"name": "colours"}, "a classifier &#39;colours&#39; with other classes"),
        ({"folder": "pictures"}, "no folder &#39;pictures&#39;"),
        ({"folder": "/nonexistent/\x00"}, "no folder"),
        ({"email": "nobody"}, "is not an e-mail address"),
        ({"email": "a@b.example\nBcc: c@d.example"}, "is not an e-mail address"),
    ],
)
def test_what_is_wrong_is_said_above_the_form_with_everything_kept(
    web: FlaskClient, jobs: Jobs, fields: dict[str, Any], message: str
) -> None:
    answer = submit(web, **fields)
    assert answer.status_code == 400
    (alert,) = re.findall(r'role="alert"[^>]*>(.*?)</div>', answer.text)
    assert message in alert
    assert "aria-invalid" in answer.text
    assert "<script>alert" not in answer.text
    assert jobs.list() == []
    for field in ("name", "per_class"):
        if field in fields and len(fields[field]) < 100:
            assert f'value="{fields[field]}"' in answer.text


def test_a_data_set_of_other_classes_keeps_its_name(
    web: FlaskClient, jobs: Jobs, settings: Settings, make_photo: Callable[..., bytes]
) -> None:
    fill(settings.datasets / "pets", {"cow": 1, "pig": 1}, make_photo)
    assert "with other classes" in submit(web, name="pets").text
    assert submit(web, name="pets", classes="cow, pig").status_code == 303
    fill(settings.datasets / "cat-dog", {"cow": 1}, make_photo)
    submit(web)
    assert {job.name for job in jobs.list()} == {"pets", "cat-dog-2"}


def test_the_same_again_leads_to_the_job_that_runs(web: FlaskClient, jobs: Jobs) -> None:
    assert submit(web).location == submit(web).location
    assert len(jobs.list()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_folder_may_be_named_on_the_computer_itself(
    settings: Settings, tmp_path: Path, service_client: ServiceClient, host: str
) -> None:
    web = create_app(replace(settings, host=host), client=service_client, WTF_CSRF_ENABLED=False).test_client()
    assert 'id="folder"' in web.get("/").text
    assert submit(web, sources=[], folder=str(tmp_path)).status_code == 303


def test_no_folder_may_be_named_where_people_log_in(web: FlaskClient, app: Flask, tmp_path: Path) -> None:
    users = app.extensions["tellapart"].users
    users.add("ann", "a long enough one")
    users._seen = None
    web.post("/login", data={"name": "ann", "password": "a long enough one"})
    assert 'id="folder"' not in web.get("/").text
    answer = submit(web, sources=[], folder=str(tmp_path))
    assert answer.status_code == 400
    assert "folders cannot be named here" in answer.text.lower()


def test_samples_are_looked_at_before_the_start(web: FlaskClient, jobs: Jobs, database: Database) -> None:
    answer = submit(web, action="sample", classes="cat, d&g", name="pets", per_class="300")
    page = web.get(answer.location)
    assert "Up to 600 pictures: about 4 minutes, if the sources are as quick as usual." in page.text
    assert 'name="classes" value="cat, d&amp;g"' in page.text
    assert jobs.list() == []
    sample = jobs.find(answer.location.rsplit("/", 1)[1])
    assert sample is not None
    assert (sample.kind, sample.options["per_class"]) == (Kind.SAMPLE, 6)
    change(database, sample, state=State.FAILED, error="no pictures for 'd&g'", fix="Use other words")
    assert "No pictures for &#39;d&amp;g&#39;.</strong> Use other words." in web.get(answer.location).text
    assert 'value="cat, d&amp;g"' in web.get(f"/?form={sample.id}").text
    assert web.get(f"/jobs/{sample.id}").location == answer.location


def test_an_estimate_learns_from_earlier_jobs() -> None:
    assert estimate(2, 300, ["openverse"], []).startswith("Up to 600 pictures: about 4 minutes, if")
    now, stages = utc_now(), [stage("collect cat", 100), stage("collect dog", 100)]
    past = Job(kind=Kind.CREATE, state=State.DONE, options=OPTIONS, stages=stages)
    past.started, past.finished = now - timedelta(seconds=125), now
    # 200 pictures in 125 - 25 seconds: 2 a second, so 600 take 300 + 25
    assert (
        estimate(2, 300, ["openverse"], [past])
        == "Up to 600 pictures: about 5 minutes, as fast as the last ones from there."
    )
    assert "usual" in estimate(2, 300, ["wikimedia"], [past])


def test_the_form_offers_exactly_the_sources_there_are(settings: Settings) -> None:
    plain = {word for word in source_words() if ":" not in word}
    assert {source.word for source in SOURCES} == plain
    flickr = next(source for source in SOURCES if source.word == "flickr")
    assert lacking(flickr, settings)
    assert lacking(flickr, replace(settings, flickr_key="k")) == ""
    bare = replace(settings, chromium=Path("/nonexistent"), gallery_folder=Path("/nonexistent"))
    wanting = {source.word for source in SOURCES if lacking(source, bare)}
    assert wanting == {"flickr", "bing", "duckduckgo", "google", "gallery"}
    afar = replace(bare, queue_url="redis://queue")
    assert {source.word for source in SOURCES if lacking(source, afar)} == {"flickr"}


# The page of a job


def fill(root: Path, counts: dict[str, int], make_photo: Callable[..., bytes]) -> list[str]:
    """A data set with so many pictures of each class; gives their sha256."""
    dataset = Dataset.create(root, root.name, parse_class_names([*counts, "nothing"]), ["list"])
    digests = []
    for number, (slug, count) in enumerate(counts.items()):
        for i in range(count):
            data = make_photo(100 * number + i)
            picture = inspect(data)
            dataset.store(slug, picture, data)
            row = Attempt(f"list:{slug}{i}", slug, Status.KEPT, Reason.OK, fetched_at=f"2026-01-01T00:00:{i:02}")
            dataset.manifest.add([row.with_picture(picture)])
            digests.append(picture.sha256)
    return digests


def test_the_page_shows_phases_classes_and_pictures(
    web: FlaskClient, jobs: Jobs, database: Database, settings: Settings, make_photo: Callable[..., bytes]
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    assert "No worker is running" in web.get(f"/jobs/{job.id}").text
    Claims(database, settings.home / "web" / "locks", this_process()).say_here()
    assert "It starts in a moment." in web.get(f"/jobs/{job.id}").text
    digests = fill(settings.datasets / "pets", {"cat": 3}, make_photo)
    stages = [stage("collect cat", 10, counts={"kept": 10, "rejected": 4}), stage("collect dog", 5)]
    change(database, job, state=State.RUNNING, stages=stages)
    page = web.get(f"/jobs/{job.id}").text
    for shown in (
        "15 of up to 40 pictures",
        "4 more were looked at and not taken",
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


def test_phases_follow_the_stages(settings: Settings) -> None:
    def states(job: Job) -> list[str]:
        return [phase.state for phase in view(job, settings).phases]

    def job(state: State, *stages: dict[str, Any], kind: Kind = Kind.CREATE) -> Job:
        return Job(id="x", kind=kind, name="pets", options=OPTIONS, state=state, stages=list(stages))

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


def test_what_is_for_terminals_is_not_on_the_page(settings: Settings) -> None:
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


def test_curves_are_drawn_of_what_was_measured(web: FlaskClient, jobs: Jobs, database: Database) -> None:
    job = jobs.enqueue(Kind.TRAIN, "pets", {})
    points = [{"at": 1, "loss": 1.0}, {"at": 2, "loss": 0.5, "accuracy": 0.9}, {"at": 3, "loss": 0.0}]
    change(database, job, state=State.RUNNING, stages=[stage("finetune", 3, points=points)])
    page = web.get(f"/jobs/{job.id}").text
    assert 'points="0.0,4.0 160.0,60.0 320.0,116.0"' in page
    assert "loss from 1 to 0" in page
    assert "accuracy" not in page, "one point is no curve"


def test_how_a_job_ended_and_what_to_do(web: FlaskClient, jobs: Jobs, database: Database) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    change(database, job, state=State.FAILED, error="no pictures for '<b>'", fix="Use other words", finished=utc_now())
    page = web.get(f"/jobs/{job.id}").text
    assert "No pictures for &#39;&lt;b&gt;&#39;.</strong> Use other words." in page
    assert ">Resume<" in page
    assert 'http-equiv="refresh"' not in page
    result = {"tag": "pets:v1", "accuracy": 0.93, "accuracy_low": 0.9, "accuracy_high": 0.95, "n": 40}
    change(
        database, job, state=State.DONE, error="", fix="", result=result, mail_problem="the mail could not be sent: x"
    )
    page = web.get(f"/jobs/{job.id}").text
    for shown in (
        "93.0 %",
        "between 90.0 % and 95.0 %",
        'href="/classify?model=pets"',
        "The mail could not be sent: x.",
    ):
        assert shown in page
    assert ">Resume<" not in page


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


def test_what_waits_says_so_where_no_worker_is(
    web: FlaskClient, jobs: Jobs, database: Database, settings: Settings
) -> None:
    first, second = (jobs.enqueue(Kind.CREATE, name, OPTIONS) for name in ("pets", "cars"))
    sample = jobs.enqueue(Kind.SAMPLE, "", {**OPTIONS, "form": FORM})
    paths = ("/", "/jobs", f"/jobs/{first.id}", f"/create/{sample.id}")
    note = "No worker is running, so nothing is done. Start one with <code>tellapart worker</code>"
    assert [note in web.get(path).text for path in paths] == [True] * 4
    claims = Claims(database, settings.home / "web" / "locks", this_process())
    seen = web.get(f"/jobs/{second.id}/live").headers["ETag"]
    claims.say_here()
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


# Live


def test_the_part_that_changes_is_asked_for_again_only_when_it_has(
    web: FlaskClient, jobs: Jobs, database: Database
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    first = web.get(f"/jobs/{job.id}/live")
    assert first.headers["X-Job-Active"] == "yes"
    assert "<html" not in first.text
    known = {"If-None-Match": first.headers["ETag"]}
    assert web.get(f"/jobs/{job.id}/live", headers=known).status_code == 304
    change(database, job, state=State.DONE, finished=utc_now())
    again = web.get(f"/jobs/{job.id}/live", headers=known)
    assert (again.status_code, again.headers["X-Job-Active"]) == (200, "no")


def test_a_stream_tells_every_change_and_ends_with_the_job(
    web: FlaskClient, jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_LOOK_SECONDS", 0.01)
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    answer = web.get(f"/jobs/{job.id}/events")
    assert answer.mimetype == "text/event-stream"
    told = answer.iter_encoded()
    assert next(told) == b"retry: 2000\n\n"
    assert next(told).startswith(b"event: state\nid: 0.0.0\ndata: ")
    change(database, job, state=State.RUNNING, stages=[stage("collect cat", 7)])
    second = next(told).decode()
    assert second.startswith("event: state\nid: 1.0.0\n")
    assert "7 of up to 40 pictures" in second
    assert all(line.startswith(("event: ", "id: ", "data: ")) for line in second.rstrip().split("\n"))
    change(database, job, state=State.DONE, finished=utc_now())
    assert next(told).startswith(b"event: state\nid: 2.0.1\n")
    assert list(told) == [b"event: end\nid: 2.0.1\ndata: \n\n"]


def test_a_stream_goes_on_after_the_last_event_that_came(web: FlaskClient, jobs: Jobs, database: Database) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    done = change(database, job, state=State.DONE, finished=utc_now())
    path, seen = f"/jobs/{job.id}/events", f"{done.revision}.0.1"
    assert "event: state" not in web.get(path, headers={"Last-Event-ID": seen}).text
    assert "event: state" not in web.get(f"{path}?seen={seen}").text
    assert "event: state" in web.get(path, headers={"Last-Event-ID": "0"}).text


@pytest.fixture(autouse=True)
def no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no page had one open; those of other tests' browsers may not have ended yet."""
    monkeypatch.setattr(events, "_room", BoundedSemaphore(events.MOST_STREAMS))


def test_streams_are_bounded_and_make_room_when_they_end(web: FlaskClient, jobs: Jobs) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    streams = [open_stream(lambda: None, "") for _ in range(events.MOST_STREAMS)]
    assert all(streams)
    assert web.get(f"/jobs/{job.id}/events").status_code == 503
    assert web.get(f"/jobs/{job.id}/live").status_code == 200
    read, *others = streams
    assert list(read) == ["retry: 2000\n\n", "event: end\nid: \ndata: \n\n"]  # type: ignore[arg-type]
    for stream in (read, *others):
        stream.close()  # type: ignore[union-attr]
    streams = [open_stream(lambda: None, "") for _ in range(events.MOST_STREAMS)]
    assert all(streams)
    assert open_stream(lambda: None, "") is None
    for stream in streams:
        stream.close()  # type: ignore[union-attr]


def test_a_quiet_stream_says_that_it_is_still_there_and_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"_LOOK_SECONDS": 0.001, "_BEAT_SECONDS": 0.0, "LONGEST_SECONDS": 0.05}.items():
        monkeypatch.setattr(events, name, seconds)
    stream = open_stream(lambda: Now("1", str, False), "1")
    said = list(stream or ())
    assert said[0] == "retry: 2000\n\n"
    assert len(said) > 1
    assert set(said[1:]) == {": still here\n\n"}


# Words


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


def test_a_job_that_is_claimed_says_so_on_its_page(
    web: FlaskClient, jobs: Jobs, database: Database, settings: Settings
) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    claims = Claims(database, settings.home / "web" / "locks", this_process())
    claim = claims.take(frozenset(Kind))
    assert claim is not None
    assert "Getting ready" in web.get(f"/jobs/{job.id}").text
    claims.release(claim)
