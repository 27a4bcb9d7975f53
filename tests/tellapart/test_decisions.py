import sqlite3

import pytest

from tellapart.decisions import Action, AuditItem, Decisions
from tellapart.manifest import Attempt, Manifest
from tellapart.pictures import Reason, Status


@pytest.fixture
def decisions(tmp_path):
    return Decisions(Manifest(tmp_path / "m.sqlite"))


def test_actions_come_back_in_order_with_their_batch_and_time(decisions):
    assert decisions.record([Action("remove", "cat", "a"), Action("move", "cat", "b", "dog", "looks so")]) == 1
    assert decisions.record([Action("keep", "dog", "c", by="curate", batch=99)]) == 2
    found = decisions.history()
    assert [(a.action, a.sha256, a.to_slug, a.why, a.by, a.batch) for a in found] == [
        ("remove", "a", "", "", "person", 1),
        ("move", "b", "dog", "looks so", "person", 1),
        ("keep", "c", "", "", "curate", 2),
    ]
    assert all(a.at and not a.undone for a in found)


def test_what_is_taken_back_stays_in_the_log(decisions):
    for name in "abc":
        decisions.record([Action("remove", "cat", name)])
    decisions.take_back([2, 3])
    assert [(a.sha256, a.undone) for a in decisions.history()] == [("a", False), ("b", True), ("c", True)]
    assert decisions.record([Action("remove", "cat", "d")]) == 4


def test_an_audit_keeps_its_order_and_its_answers(decisions):
    items = [AuditItem("cat", name, "others", 9) for name in "cab"]
    decisions.draw("cat", items)
    decisions.draw("dog", [AuditItem("dog", "c", "others", 3)])
    assert decisions.audit("cat") == items
    decisions.answer("cat", "a", True)
    decisions.answer("cat", "b", False)
    assert [(i.sha256, i.right, bool(i.answered_at)) for i in decisions.audit("cat")] == [
        ("c", None, False),
        ("a", True, True),
        ("b", False, True),
    ]
    assert decisions.audit("dog")[0].right is None


def test_a_manifest_of_the_first_format_opens_and_takes_decisions(tmp_path):
    path = tmp_path / "old.sqlite"
    row = Attempt("u/1", "cat", Status.KEPT, Reason.OK, sha256="a")
    Manifest(path).add([row])
    with sqlite3.connect(path) as db:
        db.executescript("DROP TABLE actions; DROP TABLE audit; PRAGMA user_version = 1")
    db.close()
    manifest = Manifest(path)
    assert manifest.attempts() == [row]
    assert Decisions(manifest).record([Action("remove", "cat", "a")]) == 1
