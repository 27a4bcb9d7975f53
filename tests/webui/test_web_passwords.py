"""Changing one's own password on the page."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webui.app import create_app
from webui.users import Users

PASSWORD, NEW = "a long enough one", "quite another one"


@pytest.fixture
def users(app: Flask) -> Users:
    users: Users = app.extensions["tellapart"].users
    users.add("ann", PASSWORD)
    users.add("bob", PASSWORD)
    users._seen = None
    return users


def log_in(web: FlaskClient, password: str = PASSWORD, name: str = "ann") -> FlaskClient:
    web.post("/login", data={"name": name, "password": password})
    return web


@pytest.fixture
def change(web: FlaskClient) -> Callable[..., Any]:
    def post(old: str = PASSWORD, new: str = NEW, again: str | None = None) -> Any:
        return web.post("/password", data={"old": old, "new": new, "again": new if again is None else again})

    return post


def test_a_new_password_ends_the_sessions_elsewhere_and_only_ones_own(
    web: FlaskClient, app: Flask, users: Users, change: Callable[..., Any]
) -> None:
    elsewhere, bobs = log_in(app.test_client()), log_in(app.test_client(), name="bob")
    log_in(web)
    thief = app.test_client()
    thief.set_cookie("tellapart", web.get_cookie("tellapart").value)  # type: ignore[union-attr]
    assert 'href="/password"' in web.get("/").text
    assert "Change your password" in web.get("/password").text
    assert change().location == "/"
    assert "Your password is changed." in web.get("/").text
    assert [client.get("/").status_code for client in (web, bobs, elsewhere, thief)] == [200, 200, 302, 302]
    assert users.log_in("ann", NEW)
    assert not users.log_in("ann", PASSWORD)
    assert users.log_in("bob", PASSWORD)


@pytest.mark.parametrize(
    ("given", "status", "problem"),
    [
        ({"old": "not the password"}, 401, "The old password is not right."),
        ({"old": ""}, 401, "The old password is not right."),
        ({"again": "something else"}, 400, "not the same both times"),
        ({"new": "short"}, 400, "Use 10 to 200 characters"),
        ({"new": "x" * 201}, 400, "Use 10 to 200 characters"),
    ],
)
def test_what_is_wrong_changes_nothing(
    web: FlaskClient, app: Flask, users: Users, change: Callable[..., Any], given: Any, status: int, problem: str
) -> None:
    elsewhere = log_in(app.test_client())
    log_in(web)
    answer = change(**given)
    assert answer.status_code == status
    assert problem in answer.text
    assert "x" * 201 not in answer.text
    assert users.log_in("ann", PASSWORD)
    assert [client.get("/").status_code for client in (web, elsewhere)] == [200, 200]


def test_without_users_or_a_login_there_is_none_to_change(
    web: FlaskClient, app: Flask, change: Callable[..., Any]
) -> None:
    assert [web.get("/password").location, change().location] == ["/", "/"]
    users = app.extensions["tellapart"].users
    assert users.names() == []
    users.add("ann", PASSWORD)
    users._seen = None
    assert web.get("/password").location == "/login?next=/password"
    assert change().status_code == 401
    assert users.log_in("ann", PASSWORD)


def log_in_with(users: Users) -> str | None:
    return users.log_in("ann", PASSWORD)


def change_with(users: Users) -> str | None:
    return users.change_password("ann", PASSWORD, "what a thief would like")


@pytest.mark.parametrize("with_the_old_one", [log_in_with, change_with])
@pytest.mark.parametrize("taken_out", [True, False])
def test_who_comes_with_a_password_that_is_changed_meanwhile_does_not_get_in(
    users: Users, monkeypatch: pytest.MonkeyPatch, with_the_old_one: Callable[[Users], str | None], taken_out: bool
) -> None:
    """To look at a password takes long; what becomes of the user in that time counts."""
    look, tokens = users._known_by, []

    def changed_then(name: str, password: str) -> str:
        known = look(name, password)
        monkeypatch.setattr(users, "_known_by", look)
        if taken_out:
            users.remove("ann")
        else:
            tokens.append(users.change_password("ann", PASSWORD, NEW))
        return known

    monkeypatch.setattr(users, "_known_by", changed_then)
    assert with_the_old_one(users) is None
    assert users.names() == (["bob"] if taken_out else ["ann", "bob"])
    assert [users.logged_in(token) for token in tokens] == ([] if taken_out else ["ann"])
    assert bool(users.log_in("ann", NEW)) is not taken_out


def test_tries_are_limited_as_those_to_log_in_are(
    web: FlaskClient, app: Flask, users: Users, change: Callable[..., Any]
) -> None:
    found = app.extensions["tellapart"]
    other = log_in(create_app(found.settings, client=found.client, WTF_CSRF_ENABLED=False).test_client())
    log_in(web)
    for _ in range(5):
        assert change(old="a guess").status_code == 401
        assert other.post("/password", data={"old": "a guess", "new": NEW, "again": NEW}).status_code == 401
    answer = change()
    assert answer.status_code == 429
    assert "too often" in answer.text
    assert users.log_in("ann", PASSWORD)


def test_no_long_forms_are_read(web: FlaskClient, users: Users, change: Callable[..., Any]) -> None:
    log_in(web)
    assert change(old="x" * 70_000).status_code == 413
