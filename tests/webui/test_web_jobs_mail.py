"""The mail at the end of a job, against a real SMTP server on loopback."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tellapart.errors import TellapartError, UsageError
from tellapart.settings import Settings
from tests.webui.inbox import Inbox
from webui import mail
from webui.claims import Claims, this_process
from webui.database import Database
from webui.jobs import Job, Jobs, Kind, State
from webui.mail import check_address, compose, send, tell_due
from webui.worker import Worker

OPTIONS = {"classes": ["cat", "dog"], "sources": ["gallery"], "per_class": 5}


@pytest.fixture
def mailing(settings: Settings, inbox: Inbox) -> Settings:
    return replace(settings, smtp_url=f"smtp://127.0.0.1:{inbox.port}", web_url="https://pets.example")


def ended(settings: Settings, state: State, email: str, **values: Any) -> tuple[Database, Claims, Job]:
    """A job with this end, as the worker has it then."""
    database = Database(settings)
    claims = Claims(database, settings.home / "web" / "locks", this_process())
    Jobs(database, lambda: None).enqueue(Kind.CREATE, "pets", OPTIONS, email)
    claim = claims.take(frozenset(Kind))
    assert claim is not None
    claims.release(claim)
    job = claims.finish(claim.job, state, **values)
    assert job is not None
    return database, claims, job


def test_who_asked_is_told_that_it_is_done(mailing: Settings, inbox: Inbox) -> None:
    database, claims, job = ended(mailing, State.DONE, "ann@example.org")
    tell_due(claims, mailing)
    ((sender, to, message),) = inbox.got
    assert (sender, to) == ("tellapart@localhost", ["ann@example.org"])
    assert message["Subject"] == "Tellapart: pets is ready"
    assert f"https://pets.example/jobs/{job.id}" in message.get_content()  # type: ignore[attr-defined]
    database.close()


def test_who_asked_is_told_that_it_failed_and_what_to_do(mailing: Settings, inbox: Inbox) -> None:
    error = "no pictures for 'x'\r\nBcc: everybody@example.org"
    database, claims, _ = ended(mailing, State.FAILED, "ann@example.org", error=error, fix="Use other words")
    tell_due(claims, mailing)
    ((_, to, message),) = inbox.got
    assert to == ["ann@example.org"]
    assert message["Subject"] == "Tellapart: pets is not finished"
    assert message["Bcc"] is None
    assert "Use other words" in message.get_content()  # type: ignore[attr-defined]
    database.close()


@pytest.mark.parametrize("state", [State.STOPPED, State.DONE])
def test_nobody_is_told_who_did_not_ask_or_stopped_it(mailing: Settings, inbox: Inbox, state: State) -> None:
    email = "ann@example.org" if state == State.STOPPED else ""
    database, claims, _ = ended(mailing, state, email)
    tell_due(claims, mailing)
    assert inbox.got == []
    database.close()


def test_a_mail_that_cannot_be_sent_is_said_and_fails_nothing(mailing: Settings, inbox: Inbox) -> None:
    for email, url, reason in (
        ("nobody@example.org", mailing.smtp_url, "no such user"),
        ("ann@example.org", "smtp://127.0.0.1:1", "refused"),
        ("ann@example.org", "http://127.0.0.1", "not of the form"),
        ("ann@example.org", "smtp://127.0.0.1:x", "Port"),
    ):
        database, claims, job = ended(mailing, State.DONE, email)
        tell_due(claims, replace(mailing, smtp_url=url))
        kept = Jobs(database, lambda: None).find(job.id)
        assert kept is not None
        assert kept.state == State.DONE
        assert reason in kept.mail_problem
        assert kept.mail_problem.endswith("Check TELLAPART_SMTP_URL")
        database.close()


def test_a_mail_is_sent_once_whichever_worker_died_before(mailing: Settings, inbox: Inbox) -> None:
    database, _, job = ended(mailing, State.DONE, "ann@example.org")
    worker = Worker(mailing)
    for _ in range(2):
        worker.sweep()
    assert [message["To"] for _, _, message in inbox.got] == ["ann@example.org"]
    assert Jobs(database, lambda: None).find(job.id) is not None
    database.close()


def test_one_worker_sends_a_mail_until_it_takes_too_long(mailing: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    database, claims, job = ended(mailing, State.DONE, "ann@example.org")
    other = Claims(database, mailing.home / "web" / "locks", "another worker")
    assert [getattr(found, "id", None) for found in (claims.take_mail(), other.take_mail())] == [job.id, None]
    monkeypatch.setattr("webui.claims._MAIL_LEASE", timedelta(seconds=-1))
    late = other.take_mail()
    assert late is not None
    assert late.id == job.id
    other.settle_mail(job)
    assert claims.take_mail() is None
    database.close()


@pytest.mark.parametrize("change", [Jobs.resume, Jobs.remove])
def test_nobody_is_told_of_a_job_that_goes_on_or_is_forgotten(
    mailing: Settings, inbox: Inbox, change: Callable[[Jobs, str], None]
) -> None:
    database, claims, job = ended(mailing, State.FAILED, "ann@example.org")
    change(Jobs(database, lambda: None), job.id)
    tell_due(claims, mailing)
    assert inbox.got == []
    database.close()


def test_a_mail_has_a_date_and_a_name_of_its_own(mailing: Settings) -> None:
    database, _, job = ended(mailing, State.DONE, "ann@example.org")
    first, again = (compose(job, replace(mailing, mail_from="Pets <post@pets.example>")) for _ in range(2))
    assert job.finished is not None
    assert first["Date"].datetime == job.finished
    assert first["Message-ID"] == again["Message-ID"]
    assert re.fullmatch(rf"<{re.escape(job.id)}\.\d{{14}}@pets\.example>", first["Message-ID"])
    database.close()


def test_a_password_is_not_sent_in_the_clear(mailing: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_is_here", lambda _: False)
    job = Job(id="x", kind=Kind.CREATE, name="pets", state=State.DONE, email="ann@example.org", error="", fix="")
    secret = mailing.smtp_url.replace("smtp://", "smtp://ann:geheim@")
    with pytest.raises(TellapartError, match="no encryption") as refused:
        send(compose(job, mailing), replace(mailing, smtp_url=secret))
    assert "geheim" not in str(refused.value)
    assert inbox.got == []


@pytest.mark.parametrize(
    "text", ["a@b", "ann.o'neil+x@mail.example.org", " a@b.example ", "a@xn--bcher-kva.example", ""]
)
def test_plain_addresses_are_taken(text: str) -> None:
    assert check_address(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "a", "@b", "a@", "a b@c.example", "a@b@c", "a@-b.example", "a@b..c", ".a@b", "a..b@c", "a@[127.0.0.1]",
        '"a b"@c',         "a@b.example\nBcc: c@d", "a\r\n@b.example", "a,b@c", "Ann <a@b.example>",
        "ä@b.example", "a" * 65 + "@b.example",
        "a@" + "b." * 130 + "c", "a@b;c", "a\x00@b", "a@b.example,c@d.example",
    ],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an e-mail address"):
        check_address(text)
