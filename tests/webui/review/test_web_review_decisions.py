"""Deciding about pictures on the page: staging, applying, undoing, training again."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.actions import apply, history
from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.pictures import Reason, Status
from tellapart.settings import Settings
from tests.webui.review.helpers import kept, keys, sha
from webui import review_changes
from webui.jobs import Kind

JSON = {"Accept": "application/json"}


def test_decisions_wait_until_they_are_applied_and_survive_a_restart(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any], settings: Settings, service_client: Any
) -> None:
    from webui.app import create_app

    assert stage("remove", keys(dataset, 0)).json == {"message": "", "staged": 1}
    assert stage("move", keys(dataset, 4), "cat").json["staged"] == 2
    assert kept(dataset) == {"cat": 3, "dog": 3}
    again = create_app(settings, client=service_client, WTF_CSRF_ENABLED=False).test_client()
    assert '<strong id="staged">2</strong>' in again.get("/datasets/pets").text
    again.post("/datasets/pets/apply")
    assert kept(dataset) == {"cat": 3, "dog": 2}
    assert "Carried out for 2 pictures" in again.get("/datasets/pets").text
    again.post("/datasets/pets/undo")
    assert kept(dataset) == {"cat": 3, "dog": 3}


def test_the_last_decision_about_a_picture_counts(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    stage("remove", keys(dataset, 0, 1))
    assert stage("none", keys(dataset, 0)).json["staged"] == 1
    stage("keep", keys(dataset, 1))
    web.post("/datasets/pets/apply")
    assert kept(dataset) == {"cat": 3, "dog": 3}


def test_one_waits_a_moment_for_others_that_decide_and_is_told_so(
    web: FlaskClient, app: Flask, dataset: Dataset, stage: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program curates, another request carries decisions out; what is marked stays."""
    monkeypatch.setattr("tellapart.dataset.PATIENCE", 0.1)
    monkeypatch.setattr("webui.staging._TURN_SECONDS", 0.1)
    stage("remove", keys(dataset, 0))
    for others in (dataset.deciding(), app.extensions["tellapart"].staging.turn(dataset)):
        with others:
            refused = web.post("/datasets/pets/apply", headers=JSON)
        assert (refused.status_code, refused.json["error"]["code"]) == (409, "busy")  # type: ignore[index]
    assert web.post("/datasets/pets/apply", headers=JSON).status_code == 200
    assert kept(dataset) == {"cat": 2, "dog": 3}


def test_a_kept_suspect_is_none_any_more(web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]) -> None:
    stage("keep", keys(dataset, 4))
    web.post("/datasets/pets/apply")
    assert web.get("/datasets/pets/pictures.json?show=suspects").json == {"items": []}


def test_what_was_taken_out_can_be_put_back(web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]) -> None:
    stage("remove", keys(dataset, 0))
    web.post("/datasets/pets/apply")
    out = web.get("/datasets/pets/pictures.json?show=out").json["items"]  # type: ignore[index]
    assert [i["sha256"] for i in out] == [sha(dataset, 0)]
    stage("keep", keys(dataset, 0))
    web.post("/datasets/pets/apply")
    assert kept(dataset) == {"cat": 3, "dog": 3}


def test_forgetting_what_waits(web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]) -> None:
    stage("remove", keys(dataset, 0))
    web.post("/datasets/pets/discard")
    web.post("/datasets/pets/apply")
    assert kept(dataset) == {"cat": 3, "dog": 3}


def test_without_javascript_the_form_goes_back_to_where_it_was(web: FlaskClient, dataset: Dataset) -> None:
    form = {"action": "remove", "pictures": keys(dataset, 0, 1), "class": "cat", "order": "newest"}
    answer = web.post("/datasets/pets/stage", data=form)
    assert (answer.status_code, answer.location) == (303, "/datasets/pets?class=cat&order=newest")
    assert '<strong id="staged">2</strong>' in web.get(answer.location).text


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"action": "burn", "pictures": ["cat/" + "0" * 64]}, "none of the decisions"),
        ({"action": "remove", "pictures": []}, "no picture was chosen"),
        ({"action": "remove", "pictures": "cat"}, "no picture was chosen"),
        ({"action": "remove", "pictures": ["../../etc/passwd"]}, "unknown address"),
        ({"action": "remove", "pictures": [7, None]}, "unknown address"),
        ({"action": "remove", "pictures": ["\ud800/" + "0" * 64]}, "unknown address"),
        ({"action": "remove", "pictures": ["\0/" + "0" * 64]}, "unknown address"),
        ({"action": "move", "to": "bird", "pictures": ["cat/" + "0" * 64]}, "no class to move"),
        ({"action": "move", "pictures": ["cat/" + "0" * 64]}, "no class to move"),
        ([1], "none of the decisions"),
    ],
)
def test_a_decision_that_cannot_be_taken(web: FlaskClient, dataset: Dataset, given: Any, problem: str) -> None:
    answer = web.post("/datasets/pets/stage", json=given, headers=JSON)
    assert answer.status_code == 400
    assert problem in answer.json["error"]["message"]  # type: ignore[index]


def test_a_decision_nested_beyond_sense_is_none(web: FlaskClient, dataset: Dataset) -> None:
    answer = web.post("/datasets/pets/stage", data="[" * 200_000, content_type="application/json", headers=JSON)
    assert answer.status_code == 400


def test_a_picture_that_vanished_meanwhile_costs_nothing(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    stage("remove", ["cat/" + "0" * 64, *keys(dataset, 0)])
    assert "for 1 picture." in web.post("/datasets/pets/apply", headers=JSON).json["message"]  # type: ignore[index]
    assert kept(dataset) == {"cat": 2, "dog": 3}


def test_a_picture_that_was_turned_away_meanwhile_costs_nothing(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    stage("remove", keys(dataset, 0, 1))
    first = next(a for a in dataset.manifest.attempts() if a.url == "u0")
    dataset.manifest.set_status([first], Status.REJECTED, Reason.TOO_SMALL)
    assert "for 1 picture." in web.post("/datasets/pets/apply", headers=JSON).json["message"]  # type: ignore[index]
    assert kept(dataset) == {"cat": 1, "dog": 3}


def test_what_is_decided_while_others_are_carried_out_still_waits(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(dataset: Dataset, actions: Sequence[Action]) -> None:
        stage("remove", keys(dataset, 1))
        stage("keep", keys(dataset, 2))
        apply(dataset, actions)

    monkeypatch.setattr(review_changes, "apply", slowly)
    stage("remove", keys(dataset, 0, 2))
    web.post("/datasets/pets/apply")
    assert kept(dataset) == {"cat": 1, "dog": 3}
    assert '<strong id="staged">2</strong>' in web.get("/datasets/pets").text


def test_data_sets_of_the_same_name_have_decisions_of_their_own(app: Flask, tmp_path: Path) -> None:
    staging = app.extensions["tellapart"].staging
    one, other = (Dataset(tmp_path / "folders" / digest, "pets", (), ()) for digest in ("a1", "b2"))
    action = Action("remove", "cat", "0" * 64)
    staging.stage(one, [action])
    assert staging.staged(other) == []
    staging.unstage(other)
    assert [a.sha256 for a in staging.staged(one)] == [action.sha256]


def test_nothing_is_applied_while_another_classifier_learns_from_the_same_pictures(
    web: FlaskClient, app: Flask, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    where = {"dataset": str(dataset.root)}
    job = app.extensions["tellapart"].jobs.enqueue(Kind.TRAIN, "animals", where, owner="ann")
    stage("remove", keys(dataset, 0))
    assert web.post("/datasets/pets/apply", headers=JSON).status_code == 409
    page = web.get("/datasets/pets").text
    assert "A job is working on these pictures" in page
    assert job.id not in page  # it is another's


def test_decisions_applied_by_two_at_once_are_carried_out_once(
    app: Flask, dataset: Dataset, stage: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, second = threading.Event(), threading.Event()
    answers: list[Any] = []

    def slowly(dataset: Dataset, actions: Sequence[Action]) -> None:
        started.set()
        assert second.wait(60)
        apply(dataset, actions)

    def press() -> None:
        answers.append(app.test_client().post("/datasets/pets/apply", headers=JSON).json["message"])  # type: ignore[index]

    monkeypatch.setattr(review_changes, "apply", slowly)
    stage("remove", keys(dataset, 0, 1))
    people = [threading.Thread(target=press) for _ in range(2)]
    people[0].start()
    assert started.wait(60)
    people[1].start()
    second.set()
    for person in people:
        person.join(60)
    assert sorted(answers)[1] == "Nothing was marked."
    assert "for 2 pictures" in sorted(answers)[0]
    assert len(history(dataset)) == 2


def test_a_page_that_died_before_it_had_settled_carries_nothing_out_twice(
    web: FlaskClient, app: Flask, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    stage("remove", keys(dataset, 0))
    stage("move", keys(dataset, 4), "cat")
    staging = app.extensions["tellapart"].staging
    waiting = staging.staged(dataset)
    web.post("/datasets/pets/apply")
    staging.stage(dataset, waiting)
    web.post("/datasets/pets/apply")
    assert len(history(dataset)) == 2
    assert staging.staged(dataset) == []
    web.post("/datasets/pets/undo")
    assert kept(dataset) == {"cat": 3, "dog": 3}
    stage("remove", keys(dataset, 0))
    web.post("/datasets/pets/apply")
    assert kept(dataset) == {"cat": 2, "dog": 3}


def test_only_pictures_of_the_data_set_can_be_decided_about(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    answer = stage("remove", [f"cat/{n:064x}" for n in range(9)])
    assert answer.status_code == 400
    assert "not there any more" in answer.json["error"]["message"]
    assert stage("remove", [*keys(dataset, 0), "dog/" + sha(dataset, 0)]).json["staged"] == 1


def test_training_again_is_a_job_and_nothing_is_applied_while_it_runs(
    web: FlaskClient, app: Flask, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    where = web.post("/datasets/pets/train")
    (job,) = app.extensions["tellapart"].jobs.active()
    assert (where.status_code, where.location) == (303, f"/jobs/{job.id}")
    assert web.post("/datasets/pets/train").location == f"/jobs/{job.id}"
    stage("remove", keys(dataset, 0))
    for path in ("apply", "undo"):
        answer = web.post(f"/datasets/pets/{path}", headers=JSON)
        assert (answer.status_code, answer.json["error"]["code"]) == (409, "busy")  # type: ignore[index]
    assert kept(dataset) == {"cat": 3, "dog": 3}
    assert '<strong id="staged">1</strong>' in web.get("/datasets/pets").text
