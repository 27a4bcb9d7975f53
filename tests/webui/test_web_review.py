"""Looking through a data set on the page: deciding, applying, undoing, auditing."""

import json
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart.actions import apply, history
from tellapart.dataset import Dataset
from tellapart.decisions import Action, Decisions
from tellapart.flags import Suspect, store_flags
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.predictions import Judged, write_predictions
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from webui import review_changes
from webui.jobs import Kind

JSON = {"Accept": "application/json"}
MakePicture = Callable[..., bytes]


@pytest.fixture
def dataset(settings: Settings, make_photo: MakePicture, isolated_home: Path) -> Dataset:
    """Three cats and three dogs called 0 to 5; 4 is a suspect dog that looks like a cat."""
    dataset = Dataset.create(settings.datasets / "pets", "pets", parse_class_names(["cat", "dog"]), ["folder"])
    for number in range(6):
        slug, data = ("cat", "dog")[number // 3], make_photo(number)
        picture = inspect(data)
        dataset.store(slug, picture, data)
        attempt = Attempt(f"u{number}", slug, Status.KEPT, Reason.OK, source="folder", rank=number)
        dataset.manifest.add([attempt.with_picture(picture)])
    store_flags(dataset, [Suspect(sha(dataset, 4), "dog", "label_error", 0.9, "looks like a cat", "move", "cat")])
    return dataset


def sha(dataset: Dataset, number: int) -> str:
    return next(a.sha256 for a in dataset.manifest.attempts() if a.url == f"u{number}")


def keys(dataset: Dataset, *numbers: int) -> list[str]:
    """The pictures as the page names them."""
    return [f"{('cat', 'dog')[n // 3]}/{sha(dataset, n)}" for n in numbers]


def kept(dataset: Dataset) -> dict[str, int]:
    return {c.slug: len(dataset.manifest.kept(c.slug)) for c in dataset.classes}


@pytest.fixture
def stage(web: FlaskClient) -> Callable[..., Any]:
    return lambda action, pictures, to="": web.post(
        "/datasets/pets/stage", json={"action": action, "to": to, "pictures": pictures}, headers=JSON
    )


def test_the_most_suspect_picture_comes_first_with_its_reason(web: FlaskClient, dataset: Dataset) -> None:
    items = web.get("/datasets/pets/pictures.json").json["items"]  # type: ignore[index]
    assert [i["sha256"] for i in items] == [sha(dataset, n) for n in (4, 0, 1, 2, 3, 5)]
    assert (items[0]["why"], items[0]["to"], items[1]["why"]) == ("looks like a cat", "cat", "")
    page = web.get("/datasets/pets").text
    assert page.index(sha(dataset, 4)) < page.index(sha(dataset, 0))
    assert "looks like a cat" in page


def test_filters_and_pages(web: FlaskClient, dataset: Dataset) -> None:
    def shown(query: str) -> list[str]:
        answer = web.get(f"/datasets/pets/pictures.json?{query}").json
        return [i["sha256"] for i in answer["items"]]  # type: ignore[index]

    assert shown("class=cat") == [sha(dataset, n) for n in (0, 1, 2)]
    assert shown("show=suspects") == [sha(dataset, 4)]
    assert shown("order=class&offset=2&limit=2") == [sha(dataset, n) for n in (2, 3)]
    assert shown("offset=999999999") == []
    assert shown("offset=-1&limit=x") == shown("")


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


@pytest.mark.parametrize(
    "path",
    [
        "/datasets/none-such",
        "/datasets/..%2f..%2fetc",
        "/datasets/pets?class=bird",
        "/datasets/pets?order=random",
        "/datasets/pets?show=everything",
        "/datasets/pets/thumbnails/cat/" + "0" * 64 + ".jpg",
        "/datasets/pets/pictures/cat/" + "0" * 64,
        "/datasets/pets/audit?class=bird",
        "/datasets/none-such/audit",
    ],
)
def test_nothing_there(web: FlaskClient, dataset: Dataset, path: str) -> None:
    assert web.get(path).status_code == 404


def test_thumbnails_are_small_and_show_only_pixels(web: FlaskClient, dataset: Dataset) -> None:
    with web.get(f"/datasets/pets/thumbnails/cat/{sha(dataset, 0)}.jpg") as answer:
        assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert web.get(f"/datasets/pets/thumbnails/cat/{sha(dataset, 0)}.jpg?size=huge").status_code == 404
    assert web.get(f"/datasets/pets/thumbnails/dog/{sha(dataset, 0)}.jpg").status_code == 404


def test_details_say_where_a_picture_is_from_and_what_was_decided(
    web: FlaskClient, dataset: Dataset, stage: Callable[..., Any]
) -> None:
    address = f"/datasets/pets/pictures/dog/{sha(dataset, 4)}"
    assert "looks like a cat" in web.get(address).text
    stage("remove", keys(dataset, 4))
    assert "will be removed" in web.get(address).text
    web.post("/datasets/pets/apply")
    assert re.search(r"Decided by you</dt><dd>remove", web.get(address).text)


def test_nasty_class_names_are_only_text(
    web: FlaskClient, settings: Settings, isolated_home: Path, make_photo: MakePicture
) -> None:
    nasty = parse_class_names(["a&b 'c' {{7-7}}", "=cmd()"])
    dataset = Dataset.create(settings.datasets / "nasty", "nasty", nasty, [])
    for number, c in enumerate(nasty):
        data = make_photo(number)
        picture = inspect(data)
        dataset.store(c.slug, picture, data)
        dataset.manifest.add([Attempt(c.slug, c.slug, Status.KEPT, Reason.OK).with_picture(picture)])
    for path in ("/datasets/nasty", "/datasets/nasty/audit"):
        text = web.get(path).text
        assert "{{7-7}}" in text
        assert "a&b 'c'" not in text


def test_an_audit_tells_how_many_are_right(web: FlaskClient, dataset: Dataset) -> None:
    answers = ["yes", "no", "yes"]
    for given in answers:
        page = web.get("/datasets/pets/audit?class=cat").text
        picture = re.search(r'name="picture" value="([0-9a-f]{64})"', page)[1]  # type: ignore[index]
        assert web.post("/datasets/pets/audit/cat", data={"picture": picture, "answer": given}).status_code == 303
    page = web.get("/datasets/pets/audit?class=cat").text
    assert re.search(r"<dt>cat</dt><dd>\s*<strong>66.7\xa0%</strong> right", page)
    assert "Done with" in page


def test_the_last_answer_of_an_audit_can_be_taken_back(web: FlaskClient, dataset: Dataset) -> None:
    page = web.get("/datasets/pets/audit?class=cat").text
    picture = re.search(r'name="picture" value="([0-9a-f]{64})"', page)[1]  # type: ignore[index]
    web.post("/datasets/pets/audit/cat", data={"picture": picture, "answer": "no"})
    assert "1 of 3" in web.get("/datasets/pets/audit?class=cat").text
    web.post("/datasets/pets/audit/cat", data={"picture": picture, "answer": "undo"})
    assert "0 of 3" in web.get("/datasets/pets/audit?class=cat").text


def test_an_audit_draws_only_what_it_asks_about(web: FlaskClient, dataset: Dataset) -> None:
    alone = next(a for a in dataset.manifest.attempts() if a.class_slug == "cat")
    others = [a for a in dataset.manifest.attempts() if a.class_slug == "cat" and a != alone]
    dataset.manifest.set_status(others, Status.QUARANTINED, Reason.REMOVED)
    page = web.get("/datasets/pets/audit").text
    assert "Does this show “dog”?" in page, "one cat is no sample"
    assert {item.class_slug for item in Decisions(dataset.manifest).audit()} == {"dog"}
    assert re.findall(r'class="count">(\d+ of \d+)<', page) == ["0 of 0", "0 of 3"]


@pytest.mark.parametrize(
    ("data", "status"),
    [({"answer": "perhaps", "picture": "0" * 64}, 400), ({"answer": "yes", "picture": "0" * 64}, 404)],
)
def test_an_answer_that_cannot_be_taken(web: FlaskClient, dataset: Dataset, data: Any, status: int) -> None:
    assert web.post("/datasets/pets/audit/cat", data=data).status_code == status


def test_the_first_page_of_a_large_data_set_is_small(web: FlaskClient, dataset: Dataset) -> None:
    many = [
        Attempt(f"m{n}", "cat", Status.KEPT, Reason.OK, sha256=f"{n:064x}", extension="jpg", flags=flag(n))
        for n in range(10_000)
    ]
    dataset.manifest.add(many)
    assert len(web.get("/datasets/pets").data) < 200_000
    assert len(web.get("/datasets/pets/pictures.json?limit=100000").data) < 200_000


def flag(number: int) -> str:
    if number % 3:
        return ""
    value = {
        "kind": "off_topic",
        "score": number / 10_000,
        "reason": "looks like none of the other cats",
        "action": "look",
    }
    return json.dumps(value | {"to": "", "confident": False})


def test_a_cell_of_the_confusion_matrix_opens_its_pictures(
    web: FlaskClient, dataset: Dataset, tiny_bundle: Callable[..., Any]
) -> None:
    with new_model("pets") as (folder, version):
        tiny_bundle(folder, ("cat", "dog"), file=b"x" * 100)
        (folder / "report").mkdir()
        said = [("cat", "cat"), ("cat", "dog"), ("cat", "dog"), ("dog", "dog")]
        write_predictions(folder, [Judged(sha(dataset, n), *pair, 0.9) for n, pair in enumerate(said)])
    promote(f"pets:{version}")
    assert "cat taken for dog: 2" in web.get("/datasets/pets").text
    items = web.get("/datasets/pets/pictures.json?show=cell&true=cat&predicted=dog").json["items"]  # type: ignore[index]
    assert [i["sha256"] for i in items] == [sha(dataset, n) for n in (1, 2)]


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
