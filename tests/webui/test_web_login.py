"""Logging in: who may see what, once there is a user."""

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tellapart.errors import MissingError, TellapartError, UsageError
from tellapart.settings import Settings
from webui.answers import Question
from webui.app import create_app
from webui.database import Database
from webui.jobs import Kind, utc_now
from webui.server import refuse_strangers
from webui.users import LoginSession, Users
from webui.users_command import users as users_command

PASSWORD = "a long enough one"


@pytest.fixture
def users(app: Flask) -> Users:
    users: Users = app.extensions["tellapart"].users
    users.add("ann", PASSWORD)
    users._seen = None  # a user is noticed after two seconds; the test does not wait for it
    return users


def log_in(web: FlaskClient, name: str = "ann", password: str = PASSWORD, **fields: str) -> Any:
    return web.post("/login", data={"name": name, "password": password, **fields})


def test_without_users_nobody_is_asked(web: FlaskClient) -> None:
    assert web.get("/").status_code == 200
    assert web.get("/login").location == "/"
    assert "Log out" not in web.get("/").text


def test_logging_in_leads_back_and_logging_out_ends_it(web: FlaskClient, users: Users) -> None:
    assert web.get("/api?model=x").location == "/login?next=/api?model%3Dx"
    assert log_in(web, next="/api").location == "/api"
    page = web.get("/api")
    assert page.status_code == 200
    assert "Log out" in page.text
    web.post("/logout")
    assert web.get("/api").status_code == 302


def test_a_script_is_told_and_not_led_to_a_page_it_takes_for_data(web: FlaskClient, users: Users) -> None:
    answer = web.get("/jobs/some/live", headers={"Accept": "text/html", "X-Requested-With": "fetch"})
    assert answer.status_code == 401
    assert "You are not logged in" in answer.text


@pytest.mark.parametrize("name", ["ann", "bob", "", "x" * 5000, "' OR 1=1 --"])
def test_what_is_wrong_is_not_said(web: FlaskClient, users: Users, name: str) -> None:
    answer = log_in(web, name, "wrong password")
    assert answer.status_code == 401
    assert "do not belong together" in answer.text
    assert web.get("/").status_code == 302


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\\\\evil",
        "/a\nb",
        "/\t/evil",
    ],
)
def test_nobody_is_sent_to_another_site(web: FlaskClient, users: Users, target: str) -> None:
    assert log_in(web, next=target).location == "/"


def test_a_new_password_ends_the_sessions(web: FlaskClient, users: Users) -> None:
    log_in(web)
    assert web.get("/").status_code == 200
    users.add("ann", "another long one")
    assert web.get("/").status_code == 302
    users.remove("ann")
    users._seen = None
    assert web.get("/").status_code == 200


@pytest.mark.parametrize("made_up", ["", "A" * 43, "\ud800", 7, None, ["ann"]])
def test_a_forged_session_is_none(web: FlaskClient, users: Users, made_up: Any) -> None:
    with web.session_transaction() as session:
        session["login"] = made_up
    assert web.get("/").status_code == 302


def test_a_copied_cookie_does_not_outlive_the_logout(web: FlaskClient, app: Flask, users: Users) -> None:
    log_in(web)
    thief, elsewhere = app.test_client(), app.test_client()
    thief.set_cookie("tellapart", web.get_cookie("tellapart").value)  # type: ignore[union-attr]
    log_in(elsewhere)
    assert thief.get("/").status_code == 200
    web.post("/logout")
    assert thief.get("/").status_code == 302
    assert elsewhere.get("/").status_code == 200, "another login of hers goes on"


def test_a_session_ends_in_time_and_what_it_carries_is_kept_nowhere(
    web: FlaskClient, app: Flask, users: Users, settings: Settings
) -> None:
    log_in(web)
    with web.session_transaction() as session:
        token = session["login"]
    kept = b"".join(path.read_bytes() for path in (settings.home / "web").glob("tellapart.sqlite*"))
    assert token.encode() not in kept
    with app.extensions["tellapart"].database.writing() as rows:
        rows.scalars(select(LoginSession)).one().expires = utc_now()
    assert web.get("/").status_code == 302


def test_jobs_of_others_are_not_there(
    web: FlaskClient, app: Flask, users: Users, token_in: Callable[[str], str]
) -> None:
    jobs = app.extensions["tellapart"].jobs
    mine = jobs.enqueue(Kind.TRAIN, "mine", {}, owner="ann")
    others = jobs.enqueue(Kind.TRAIN, "others", {}, owner="bob")
    log_in(web)
    assert web.get(f"/jobs/{mine.id}").status_code == 200
    missing = web.get("/jobs/none-such")
    for path in ("", "/live", "/events"):
        foreign = web.get(f"/jobs/{others.id}{path}")
        assert foreign.status_code == 404
    assert web.post(f"/jobs/{others.id}/stop").status_code == 404
    foreign = web.get(f"/jobs/{others.id}").text
    assert foreign.replace(token_in(foreign), "") == missing.text.replace(token_in(missing.text), "")
    assert "others" not in web.get("/").text


def test_samples_and_batches_of_others_are_not_there(web: FlaskClient, app: Flask, users: Users) -> None:
    found = app.extensions["tellapart"]
    sample = found.jobs.enqueue(Kind.SAMPLE, "", {"classes": ["a", "b"]}, owner="bob")
    batch = found.batches.start("holiday", Question("colours:v1", 5), 2, owner="bob")
    log_in(web)
    for path in (f"/create/{sample.id}", *(f"/batches/{batch.id}{tail}" for tail in ("", "/part", "/json", "/csv"))):
        assert web.get(path).status_code == 404
    assert web.post(f"/batches/{batch.id}", data={"start": "0"}).status_code == 404
    assert "holiday" not in web.get(f"/?form={sample.id}").text


def test_who_is_not_logged_in_sends_no_long_forms(app: Flask, settings: Settings, service_client: Any) -> None:
    guarded = create_app(settings, client=service_client).test_client()
    users = guarded.application.extensions["tellapart"].users
    users.add("ann", PASSWORD)
    long = {"name": "ann", "password": "x" * 70_000}
    assert guarded.post("/classify", data=long).status_code == 401  # not 400: the form was not looked at
    assert guarded.post("/login", data=long).status_code == 413


@pytest.mark.parametrize("outside", [{"host": "0.0.0.0"}, {"host": "fd00::5"}, {"proxies": 1}])
def test_a_page_that_others_reach_stays_closed_without_users(
    settings: Settings, service_client: Any, outside: dict[str, Any]
) -> None:
    open_to_others = replace(settings, **outside)
    web = create_app(open_to_others, client=service_client, WTF_CSRF_ENABLED=False).test_client()
    assert web.get("/").location.startswith("/login?next=")
    assert "tellapart users add NAME" in web.get("/login").text
    assert log_in(web).status_code == 401
    with pytest.raises(UsageError, match="users add"):
        refuse_strangers(open_to_others)


def test_an_error_page_needs_no_database(
    web: FlaskClient, app: Flask, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Database) -> Any:
        raise TellapartError("the database /home/ann/secret.sqlite cannot be used")

    log_in(web)
    found = app.extensions["tellapart"]
    with monkeypatch.context() as gone:
        gone.setattr(Database, "reading", away)
        users._seen = None
        assert "secret.sqlite" in web.get("/").text
        object.__setattr__(found, "settings", replace(found.settings, proxies=1))
        answer = web.get("/")
    assert answer.status_code == 500
    assert "it has been logged" in answer.text
    assert "secret.sqlite" not in answer.text


def test_results_of_others_are_not_there(
    web: FlaskClient, app: Flask, users: Users, upload: Any, make_picture: Callable[..., bytes]
) -> None:
    users.add("bob", PASSWORD)
    log_in(web, "bob")
    path = upload((make_picture("red"), "a.png")).location
    assert web.get(path).status_code == 200
    web.post("/logout")
    log_in(web, "ann")
    for kind in ("", "/json", "/csv", "/picture.jpg", "/explanation", "/nearest", "/heat-map.png"):
        assert web.get(path + kind).status_code == 404
    assert web.post(f"{path}/feedback", data={"right": "yes"}).status_code == 404


def test_passwords_are_hashed(users: Users, settings: Settings) -> None:
    bytes_there = b"".join(path.read_bytes() for path in (settings.home / "web").glob("*.sqlite*"))
    assert b"$argon2id$" in bytes_there
    assert PASSWORD.encode() not in bytes_there


@pytest.mark.parametrize(
    ("name", "password"), [("Ann", PASSWORD), ("", PASSWORD), ("a/b", PASSWORD), ("ann", "short"), ("ann", "x" * 201)]
)
def test_users_that_cannot_be(settings: Settings, name: str, password: str) -> None:
    with pytest.raises(UsageError):
        Users(Database(settings)).add(name, password)


def test_tries_are_limited_for_all_workers_together(web: FlaskClient, app: Flask, users: Users) -> None:
    settings = app.extensions["tellapart"].settings
    other = create_app(settings, client=app.extensions["tellapart"].client, WTF_CSRF_ENABLED=False).test_client()
    for number in range(10):
        assert log_in((web, other)[number % 2], password="wrong password").status_code == 401
    answer = log_in(other)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert "too often" in answer.text


def test_a_network_of_version_6_counts_as_one(web: FlaskClient, app: Flask, users: Users) -> None:
    def tried(address: str) -> int:
        answer = web.post("/login", data={"name": "ann"}, environ_overrides={"REMOTE_ADDR": address})
        return answer.status_code

    assert {tried(f"2001:db8:1:2::{number}") for number in range(10)} == {401}
    assert tried("2001:db8:1:2:ffff::1") == 429
    assert tried("2001:db8:1:3::1") == 401


def test_a_page_for_everybody_needs_a_user_first(settings: Settings) -> None:
    refuse_strangers(settings)
    everybody = Settings(home=settings.home, host="0.0.0.0")
    with pytest.raises(UsageError, match="users add"):
        refuse_strangers(everybody)
    Users(Database(settings)).add("ann", PASSWORD)
    refuse_strangers(everybody)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::2]",
        "[::1].evil",
        "",
    ],
)
def test_other_names_for_this_machine_are_refused(web: FlaskClient, users: Users, host: str) -> None:
    answer = web.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5000", "127.0.0.1:5000", "[::1]", "[::1]:5000"])
def test_this_machine_is_known_by_its_names(web: FlaskClient, host: str) -> None:
    assert web.get("/", headers={"Host": host}).status_code == 200


def test_a_network_address_of_version_6_is_known(settings: Settings, service_client: Any) -> None:
    web = create_app(replace(settings, host="fd00::5"), client=service_client).test_client()
    assert web.get("/login", headers={"Host": "[fd00::5]:5000"}).status_code == 200


def test_the_name_people_know_it_by_is_trusted(settings: Settings, service_client: Any) -> None:
    known = Settings(home=settings.home, web_url="https://pets.example")
    web = create_app(known, client=service_client).test_client()
    assert web.get("/", headers={"Host": "pets.example"}).status_code == 200
    assert web.get("/", headers={"Host": "localhost:5000"}).status_code == 200


def test_users_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLAPART_HOME", str(tmp_path))
    run = CliRunner().invoke
    assert run(users_command, ["add", "ann", "--password-file", "-"], input=PASSWORD + "\n").exit_code == 0
    assert isinstance(run(users_command, ["add", "bob"], input=f"{PASSWORD}\n").exception, UsageError)
    monkeypatch.setattr("webui.users_command.refuse_without_terminal", lambda *_: None)
    assert isinstance(run(users_command, ["add", "Bob Ray"]).exception, UsageError)
    assert run(users_command, ["add", "bob"], input=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0
    assert run(users_command, ["list"]).output == "ann\nbob\n"
    assert run(users_command, ["remove", "bob"]).exit_code == 0
    assert isinstance(run(users_command, ["remove", "bob"]).exception, MissingError)
    assert Users(Database(Settings(home=tmp_path))).log_in("ann", PASSWORD)
    database = tmp_path / "web" / "tellapart.sqlite"
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700
