"""The form that a classifier is made with, the samples before it, and the estimate."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scraping.sources import source_words
from tellapart.settings import Settings
from tellapart.source_list import SOURCES, lacking
from webui.app import create_app
from webui.client import ServiceClient
from webui.estimate import estimate
from webui.jobs import Job, Jobs, Kind, State, utc_now

OPTIONS = {"classes": ["cat", "dog"], "sources": ["openverse"], "license": "any", "per_class": 20}
GOOD = {"classes": "cat, dog", "sources": "openverse", "license": "any", "per_class": "20", "action": "start"}
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


def submit(web: FlaskClient, **fields: Any) -> Any:
    return web.post("/create", data={**GOOD, **fields})


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
    web: FlaskClient, jobs: Jobs, settings: Settings, fill: Any
) -> None:
    fill(settings.datasets / "pets", {"cow": 1, "pig": 1})
    assert "with other classes" in submit(web, name="pets").text
    assert submit(web, name="pets", classes="cow, pig", joins="pets").status_code == 303
    fill(settings.datasets / "cat-dog", {"cow": 1})
    submit(web)
    assert {job.name for job in jobs.list()} == {"pets", "cat-dog-2"}


def test_the_same_again_leads_to_the_job_that_runs_and_says_so(web: FlaskClient, jobs: Jobs) -> None:
    where = submit(web).location
    assert "being made already" not in web.get(where).text
    assert submit(web).location == where
    assert "This is being made already; here it is." in web.get(where).text
    assert len(jobs.list()) == 1


@pytest.mark.parametrize(("action", "name"), [("start", ""), ("sample", ""), ("start", "cat-dog")])
def test_nobody_adds_to_a_data_set_without_being_told(
    web: FlaskClient, jobs: Jobs, settings: Settings, fill: Any, action: str, name: str
) -> None:
    fill(settings.datasets / "cat-dog", {"cat": 2, "dog": 1})
    told = submit(web, action=action, name=name)
    assert told.status_code == 400
    assert "There are 3 pictures of these classes in &#39;cat-dog&#39; already." in told.text
    assert "choose another name, such as cat-dog-2." in told.text
    assert 'name="name" value="cat-dog"' in told.text  # so that going on is a choice
    assert 'name="joins" value="cat-dog"' in told.text
    assert jobs.list() == []
    assert submit(web, name="cat-dog", joins="cat-dog").status_code == 303
    assert submit(web, name="cat-dog-2", joins="cat-dog").status_code == 303
    assert {job.name for job in jobs.list()} == {"cat-dog", "cat-dog-2"}


def test_the_name_that_is_offered_is_nobodys(
    web: FlaskClient, jobs: Jobs, settings: Settings, fill: Any, service: Any
) -> None:
    fill(settings.datasets / "colours", {"cat": 1})
    service.models = [service.models[0].model_copy(update={"name": "colours-2", "model": "colours-2:a"})]
    jobs.enqueue(Kind.CREATE, "colours-3", OPTIONS, owner="bob")
    told = submit(web, name="colours").text
    assert "There is 1 picture of these classes in &#39;colours&#39; already." in told
    assert "choose another name, such as colours-4." in told


def test_who_changes_the_settings_of_a_job_knows_its_data_set(
    web: FlaskClient, jobs: Jobs, settings: Settings, fill: Any, change: Any
) -> None:
    job = jobs.enqueue(Kind.CREATE, "cat-dog", OPTIONS)
    fill(settings.datasets / "cat-dog", {"cat": 2, "dog": 1})
    change(job, state=State.STOPPED)
    assert 'name="joins" value="cat-dog"' in web.get(f"/?form={job.id}").text


@pytest.mark.parametrize("classes", ["猫, 狗", "猫, dog", "Straße, Weg"])
def test_classes_in_other_letters_are_given_a_name_by_their_author(web: FlaskClient, jobs: Jobs, classes: str) -> None:
    asked = submit(web, classes=classes)
    assert asked.status_code == 400
    assert "Write one under Name of the classifier" in asked.text
    assert submit(web, classes=classes, name="pets").status_code == 303
    (job,) = jobs.list()
    assert (job.name, job.options["classes"]) == ("pets", classes.split(", "))


@pytest.mark.parametrize("action", ["start", "sample"])
def test_who_has_too_many_jobs_keeps_what_was_typed(
    web: FlaskClient, jobs: Jobs, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.jobs.MOST_ACTIVE", 1)
    jobs.enqueue(Kind.CREATE, "cars", OPTIONS)
    answer = submit(web, classes="lynx, puma", action=action)
    assert answer.status_code == 409
    assert "1 jobs are unfinished" in answer.text
    assert 'value="lynx, puma"' in answer.text


def test_a_job_of_another_on_the_same_name_keeps_what_was_typed(web: FlaskClient, jobs: Jobs) -> None:
    jobs.enqueue(Kind.CREATE, "lynx-puma", OPTIONS, owner="bob")
    answer = submit(web, classes="lynx, puma")
    assert answer.status_code == 409
    assert "Lynx-puma is being worked on already" in answer.text
    assert 'value="lynx, puma"' in answer.text


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.STOPPED, State.RUNNING])
def test_every_job_that_has_ended_can_be_forgotten(web: FlaskClient, app: Flask, jobs: Jobs, state: State) -> None:
    job = jobs.enqueue(Kind.CREATE, "pets", OPTIONS)
    with app.extensions["tellapart"].database.writing() as session:
        session.get_one(Job, job.id).change(state=state, finished=utc_now(), started=utc_now())
    assert ("Forget this job" in web.get(f"/jobs/{job.id}").text) == (state != State.RUNNING)


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


def test_samples_are_looked_at_before_the_start(web: FlaskClient, jobs: Jobs, change: Any) -> None:
    answer = submit(web, action="sample", classes="cat, d&g", name="pets", per_class="300")
    page = web.get(answer.location)
    assert "Up to 600 pictures: about 4 minutes, if the sources are as quick as usual." in page.text
    assert 'name="classes" value="cat, d&amp;g"' in page.text
    assert jobs.list() == []
    sample = jobs.find(answer.location.rsplit("/", 1)[1])
    assert sample is not None
    assert (sample.kind, sample.options["per_class"]) == (Kind.SAMPLE, 6)
    change(sample, state=State.FAILED, error="no pictures for 'd&g'", fix="Use other words")
    assert "No pictures for &#39;d&amp;g&#39;.</strong> Use other words." in web.get(answer.location).text
    assert 'value="cat, d&amp;g"' in web.get(f"/?form={sample.id}").text
    assert web.get(f"/jobs/{sample.id}").location == answer.location


def test_an_estimate_learns_from_earlier_jobs(stage: Any) -> None:
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


def test_the_words_the_demo_gallery_knows_stand_where_it_is_chosen(
    web: FlaskClient, settings: Settings, service_client: ServiceClient, tmp_path: Path
) -> None:
    for name in ("animals/cats", "animals/.hidden", "fruit", "one"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
    for number in range(8):
        for name in (f"animals/cats/{number}.png", f"animals/.hidden/{number}.png", f"fruit/{number}.txt"):
            (tmp_path / "pictures" / name).touch()
    (tmp_path / "pictures" / "one" / "a.png").touch()
    here = replace(settings, gallery_folder=tmp_path / "pictures", chromium=Path("/bin/sh"))
    page = create_app(here, client=service_client).test_client().get("/").text
    assert "What the demo gallery has" in page
    listed = page.partition('id="gallery-words"')[2].partition("</details>")[0]
    assert re.findall(r"<li>(\w+) <span class=\"count\">(\d+)<", listed) == [("animals", "8"), ("cats", "8")]
    bare = replace(here, gallery_folder=tmp_path / "nothing")
    assert "What the demo gallery has" not in create_app(bare, client=service_client).test_client().get("/").text
