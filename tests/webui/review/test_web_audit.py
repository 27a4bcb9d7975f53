"""The audit on the page: answers, the estimate, and what cannot be answered."""

import re

from flask.testing import FlaskClient

from tellapart.dataset import Dataset
from tellapart.decisions import Decisions
from tellapart.pictures import Reason, Status


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


def test_an_answer_that_is_none_is_refused(web: FlaskClient, dataset: Dataset) -> None:
    data = {"answer": "perhaps", "picture": "0" * 64}
    assert web.post("/datasets/pets/audit/cat", data=data).status_code == 400


def test_an_answer_to_what_is_not_asked_any_more_says_so_and_goes_on(web: FlaskClient, dataset: Dataset) -> None:
    data = {"answer": "yes", "picture": "0" * 64}
    page = web.post("/datasets/pets/audit/cat", data=data, follow_redirects=True)
    assert page.status_code == 200
    assert "That answer was not taken" in page.text
    assert "Does this show “cat”?" in page.text
