"""What attackers of the page try who have no file to send: forged forms, cookies, guesses, too many questions."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer

from tellapart.errors import UsageError
from tests.webui.attacks.site import (
    PASSWORD,
    Site,
    archive,
    changing,
    endpoints,
    refused,
)
from webui.app import create_app
from webui.limits import LIMITS
from webui.server import refuse_strangers

COSTLY = (
    *(
        "create.submit",
        "own_pictures.add",
        "passwords.change",
        "review_changes.train",
        "review_changes.apply_staged",
        "uploads.classify",
        "shares.create",
    ),
    *("batches.start", "batches.add", "batches.show", "batches.part"),
    *("results.heat_map", "results.explanation", "results.nearest"),
    *("classifiers.export", "classifiers.exported", "classifiers.dataset_zip", "classifiers.model_zip"),
)


def forge(site: Site, send: Callable[[FlaskClient, str], Any]) -> set[tuple[int, str]]:
    return {refused(send(site.person("bob"), site.address(endpoint))) for endpoint in changing(site)}


def forged_cookie(site: Site, key: str) -> int:
    """Claim to be Bob with a session that was signed with a key one might guess."""
    with site.person("bob").session_transaction() as real:
        known = {"login": real["login"]}
    signer: Any = site.app.session_interface.get_signing_serializer(site.app)
    mine = URLSafeTimedSerializer(
        key, salt="cookie-session", serializer=signer.serializer, signer_kwargs=signer.signer_kwargs
    )
    stranger = site.app.test_client()
    stranger.set_cookie("tellapart", mine.dumps(known))
    return int(stranger.get("/").status_code)


def copied_cookie(site: Site) -> list[int]:
    """Use Bob's cookie before and after he logs out."""
    thief = site.app.test_client()
    thief.set_cookie("tellapart", site.person("bob").get_cookie("tellapart").value)  # type: ignore[union-attr]
    before = thief.get("/").status_code
    site.post("bob", "/logout")
    return [before, thief.get("/").status_code]


def cookie_flags(site: Site, scheme: str) -> set[str]:
    cookie = site.app.test_client().get("/login", base_url=f"{scheme}://localhost").headers["Set-Cookie"]
    return {part.strip() for part in cookie.split(";")[1:]}


def changed_password(site: Site) -> list[int]:
    """Use a copy of Bob's cookie before and after he changes his password, and Ann's own."""
    thief, new = site.app.test_client(), "quite another one"
    thief.set_cookie("tellapart", site.person("bob").get_cookie("tellapart").value)  # type: ignore[union-attr]
    before = thief.get("/").status_code
    site.post("bob", "/password", old=PASSWORD, new=new, again=new)
    return [before, *(person.get("/").status_code for person in (thief, site.person("bob"), site.person("ann")))]


def guess_the_old_password(site: Site) -> tuple[list[int], bool]:
    """Sit down at a page that Bob left open, and guess what it takes to keep him out."""
    new = "quite another one"
    answers = [site.post("bob", "/password", old=f"guess {n}", new=new, again=new).status_code for n in range(11)]
    answers.append(site.post("bob", "/password", old=PASSWORD, new=new, again=new).status_code)
    return answers, bool(site.app.extensions["tellapart"].users.log_in("bob", PASSWORD))


def guess_passwords(site: Site) -> list[int]:
    """Ask two processes of the page in turn, as a load balancer does."""
    found = site.app.extensions["tellapart"]
    other = create_app(found.settings, client=found.client, WTF_CSRF_ENABLED=False).test_client()
    for _ in range(5):
        other.post("/login", data={"name": "bob", "password": "guess"})
        site.post("", "/login", name="bob", password="guess")
    return [
        other.post("/login", data={"name": "bob", "password": PASSWORD}).status_code,
        site.post("", "/login", name="bob", password=PASSWORD).status_code,
    ]


def asked_too_often(site: Site) -> set[str]:
    """What answers to a second time where one is allowed."""
    with limited(site, {endpoint: "1 per hour" for endpoint in LIMITS if endpoint != "login.enter"}) as page:
        answers = {}
        for endpoint in (*COSTLY, *COSTLY):
            post, address = endpoint in changing(site), page.address(endpoint)
            with page.post("bob", address) if post else page.person("bob").get(address) as answer:
                answers[endpoint] = answer.status_code
    return {endpoint for endpoint, status in answers.items() if status != 429}


def archives_too_often(site: Site) -> list[int]:
    """Two archives, and a picture, where one batch may be begun."""
    with limited(site, {"batches.start": "1 per hour"}) as page:
        sent = (archive({"a.png": site.picture}), archive({"b.png": site.picture}), site.picture)
        return [page.upload(data).status_code for data in sent]


@contextmanager
def limited(site: Site, limits: Mapping[str, str]) -> Iterator[Site]:
    """The same site under other limits."""
    found = site.app.extensions["tellapart"]
    with patch.dict(LIMITS, limits):
        yield Site(create_app(found.settings, client=found.client), site.service, site.picture, values=site.values)


def redirects(site: Site) -> set[str]:
    """Where anybody is sent by any address, that is not a path of this page."""
    names = "//evil.example", "https://evil.example", "/\\evil.example"
    found = []
    for endpoint in endpoints(site):
        for name in ("", "bob"):
            query = {"next": names[0], "url": names[1]}
            headers = {"X-Forwarded-Host": "evil.example", "Referer": "https://evil.example/"}
            with site.person(name).get(site.address(endpoint), query_string=query, headers=headers) as answer:
                found.append(answer.location or "/")
    with site.person("bob").get("/results//evil.example") as answer:
        found.append(answer.location or "/")
    for target in names:
        fresh = site.app.test_client()
        site.people["fresh"] = fresh
        found.append(site.post("fresh", "/login", name="bob", password=PASSWORD, next=target).location)
    return {place for place in found if urlsplit(place).netloc or not re.match(r"/(?![/\\])", place)}


def on_a_network(site: Site, **changes: Any) -> str:
    """Start the page where others reach it, before there is a user."""
    settings = site.app.extensions["tellapart"].settings
    try:
        refuse_strangers(replace(settings, home=settings.home / "fresh", **changes))
    except UsageError as error:
        return error.fix
    return "started"


def through_a_proxy(site: Site) -> list[tuple[int, str]]:
    """Ask a page that has no users, as itself and through proxies on its machine that nobody told it of."""
    found = site.app.extensions["tellapart"]
    page = create_app(replace(found.settings, home=found.settings.home / "fresh"), client=found.client).test_client()
    names = ("", "X-Forwarded-For", "x-forwarded-proto", "Forwarded", "X-Real-IP", "Via")
    answers = [page.get("/jobs", headers={name: "203.0.113.7"} if name else {}) for name in names]
    return [(answer.status_code, (answer.location or "").partition("?")[0]) for answer in answers]
