"""What the page is held to against those who attack it: each item, what was tried, and the exact refusal.

`ATTACKS` is the table. Beside it stand tests of every address by those it is not for, and of nasty names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.webui.attacks.addresses import OWNED, foreign, missing
from tests.webui.attacks.attempts import (
    archives_too_often,
    asked_too_often,
    changed_password,
    cookie_flags,
    copied_cookie,
    forge,
    forged_cookie,
    guess_passwords,
    guess_the_old_password,
    on_a_network,
    redirects,
    through_a_proxy,
)
from tests.webui.attacks.files import (
    added_of,
    camera_data,
    camera_data_of_own_pictures,
    deleted_outside,
    link,
    picture_of,
    said_of_members,
    taken_along,
    understated,
    what_a_polyglot_becomes,
)
from tests.webui.attacks.methods import files_outside, surprising
from tests.webui.attacks.site import (
    FILE_NAMES,
    JSON,
    PASSWORD,
    Site,
    archive,
    database,
    formulas,
    home,
    nonces,
    refused,
    unguarded,
)


@dataclass(frozen=True)
class Attack:
    """One line of the table; `attempt` gives what came of it, which must be `refusal`, to the letter."""

    item: str
    tried: str
    attempt: Callable[[Site], Any]
    refusal: Any


ITEMS = (
    "a forged change", "a script in a page", "cookies", "the secret", "another name of the host", "rate limits",
    "uploads", "archives", "pixels", "stored files", "addresses to fetch", "formulas", "redirects", "ids of others",
    "a page on a network", "passwords", "the camera's data", "files of this machine", "other methods",
)  # fmt: skip

FIRST_USER = "Make the first user with: tellapart users add NAME, or leave TELLAPART_HOST and TELLAPART_PROXIES unset"
EMPTY, NO_PICTURE = "the file is empty", "the file is not a picture"
DRAWING, LARGE = "this kind of file is not supported", "the picture has 20.0 MB; at most 20 MB are taken"
PIXELS = "the picture has too many pixels; at most 50 megapixels are taken"
WRONG_TOKEN = {(400, "wrong_token")}
ATTACKS = [
    Attack(ITEMS[0], "a form without a token", lambda s: forge(s, lambda w, a: w.post(a, headers=JSON)), WRONG_TOKEN),
    Attack(
        ITEMS[0],
        "one with a made-up token",
        lambda s: forge(s, lambda w, a: w.post(a, headers=JSON, data={"csrf_token": "x"})),
        WRONG_TOKEN,
    ),
    Attack(
        ITEMS[0],
        "one with the token of another person",
        lambda s: forge(s, lambda w, a: w.post(a, headers=JSON, data={"csrf_token": s.token("ann")})),
        WRONG_TOKEN,
    ),
    Attack(
        ITEMS[0],
        "JSON, as another site's script may send",
        lambda s: forge(s, lambda w, a: w.post(a, headers=JSON, data='{"action":"keep"}', content_type="text/plain")),
        WRONG_TOKEN,
    ),
    Attack(ITEMS[1], "pages that would run more than their own scripts", unguarded, set()),
    Attack(ITEMS[1], "the same nonce again", lambda s: len({nonces(s.person("bob").get("/")) for _ in range(3)}), 3),
    Attack(ITEMS[2], "reading the session", lambda s: cookie_flags(s, "http"), {"HttpOnly", "Path=/", "SameSite=Lax"}),
    Attack(
        ITEMS[2],
        "listening to it",
        lambda s: cookie_flags(s, "https"),
        {"HttpOnly", "Path=/", "SameSite=Lax", "Secure"},
    ),
    Attack(ITEMS[2], "a copy of it, after he has logged out", copied_cookie, [200, 302]),
    Attack(ITEMS[2], "a copy of it, after he has changed his password", changed_password, [200, 302, 200, 200]),
    Attack(
        ITEMS[3],
        "sessions signed with keys one might guess",
        lambda s: {forged_cookie(s, key) for key in ("", "dev", "secret", "tellapart", "change-me")},
        {302},
    ),
    Attack(
        ITEMS[3],
        "reading the key as another user of the machine",
        lambda s: oct((home(s) / "secret").stat().st_mode & 0o777),
        "0o600",
    ),
    Attack(
        ITEMS[4],
        "a name that was pointed at this machine",
        lambda s: {
            s.person("bob").get("/", headers={"Host": host}).status_code
            for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:5000", "[::2]", "")
        },
        {400},
    ),
    Attack(
        ITEMS[4],
        "a name that a proxy would pass on, where there is none",
        lambda s: [
            "evil" in s.post("bob", s.address("shares.create"), {name: "evil.example"}, days="1").text
            for name in ("X-Forwarded-Host", "X-Forwarded-Server", "Forwarded")
        ],
        [False] * 3,
    ),
    Attack(ITEMS[5], "guessing passwords of two processes in turn", guess_passwords, [429, 429]),
    Attack(
        ITEMS[5],
        "guessing the password of one who left his page open",
        guess_the_old_password,
        ([*[401] * 10, 429, 429], True),
    ),
    Attack(ITEMS[5], "anything that costs much, twice where once is allowed", asked_too_often, set()),
    Attack(ITEMS[5], "archives, each of them a batch", archives_too_often, [200, 429, 200]),
    Attack(ITEMS[6], "an empty file", lambda s: refused(s.upload(b"")), (400, "empty")),
    Attack(ITEMS[6], "a file that is no picture", lambda s: refused(s.upload(b"#!/bin/sh")), (400, "not_an_image")),
    Attack(ITEMS[6], "a drawing with scripts", lambda s: refused(s.upload(b"<svg/>")), (415, "unsupported_type")),
    Attack(ITEMS[6], "one of 20 MB and a byte", lambda s: refused(s.upload(bytes(20 * 2**20 + 1))), (413, "too_large")),
    Attack(
        ITEMS[6],
        "65 at once",
        lambda s: refused(
            s.post("bob", "/classify", files=[("a", b"x")] * 65)
        ),
        (413, "too_large"),
    ),
    Attack(
        ITEMS[6],
        "a form of a thousand fields",
        lambda s: refused(s.post("bob", "/classify", **{f"f{n}": "x" for n in range(1000)})),
        (413, "too_large"),
    ),
    Attack(
        ITEMS[6],
        "more bytes than a form may have",
        lambda s: s.app.config.update(MAX_CONTENT_LENGTH=1000) or refused(s.upload(bytes(2000))),
        (413, "too_large"),
    ),
    Attack(
        ITEMS[6],
        "the same into a class of a data set",
        lambda s: added_of(s, ("a", b""), ("b", b"#!/bin/sh"), ("c", b"<svg/>"), ("d", bytes(20 * 2**20 + 1))),
        (0, {"a": EMPTY, "b": NO_PICTURE, "c": DRAWING, "d": LARGE}),
    ),
    Attack(ITEMS[6], "65 of them", lambda s: added_of(s, *[("a", b"x")] * 65), (413, "too_large")),
    Attack(
        ITEMS[7],
        "the same into a class of a data set",
        lambda s: [
            added_of(s, ("x.zip", archive({str(n): b"" for n in range(10_001)}))),
            added_of(s, ("x.zip", archive({"a": b""})[:40])),
            added_of(s, ("x.zip", archive({"a.bmp": bytes(30_000_000)}))),
            added_of(s, ("x.zip", understated())),
            added_of(s, ("x.zip", archive({"a.png": b"/etc/passwd"}, link))),
            added_of(s, ("x.zip", archive({"../a.png": s.picture}))),
        ],
        [
            (413, "too_large"),
            (400, "truncated"),
            (0, {"a.bmp": "it unpacks to more than 200 times its size"}),
            (0, {"a.png": "it cannot be unpacked: Bad CRC-32 for file 'a.png'"}),
            (0, {"a.png": "it is a link"}),
            (0, {"a.png": "its name leads out of the archive"}),
        ],
    ),
    Attack(
        ITEMS[7],
        "10,001 files",
        lambda s: refused(s.upload(archive({str(n): b"" for n in range(10_001)}))),
        (413, "too_large"),
    ),
    Attack(ITEMS[7], "half an archive", lambda s: refused(s.upload(archive({"a": b""})[:40])), (400, "truncated")),
    Attack(
        ITEMS[7],
        "30 MB of nothing in a few bytes",
        lambda s: said_of_members(s, archive({"a.bmp": bytes(30_000_000)})),
        {"a.bmp": "it unpacks to more than 200 times its size"},
    ),
    Attack(
        ITEMS[7],
        "a file that unpacks to more than it says",
        lambda s: said_of_members(s, understated()),
        {"a.png": "it cannot be unpacked: Bad CRC-32 for file 'a.png'"},
    ),
    Attack(
        ITEMS[7],
        "a link to a file of this machine",
        lambda s: said_of_members(s, archive({"a.png": b"/etc/passwd"}, link)),
        {"a.png": "it is a link"},
    ),
    Attack(
        ITEMS[7],
        "names that lead out of it",
        lambda s: set(said_of_members(s, archive({"../a.png": b"x", "/b.png": b"x", "c/..\\d.png": b"x"})).values()),
        {"its name leads out of the archive"},
    ),
    Attack(
        ITEMS[8],
        "a few bytes that say 60,000 x 60,000",
        lambda s: refused(s.upload(picture_of(60_000, 60_000))),
        (413, "too_large"),
    ),
    Attack(
        ITEMS[8],
        "the same into a class of a data set",
        lambda s: added_of(s, ("a.png", picture_of(60_000, 60_000))),
        (0, {"a.png": PIXELS}),
    ),
    Attack(
        ITEMS[9],
        "a picture with a script behind it, called a page",
        what_a_polyglot_becomes,
        ("image/jpeg", "nosniff", True, {True}),
    ),
    Attack(
        ITEMS[10],
        "this machine, the cloud's own address, a file",
        lambda s: {
            refused(s.post("bob", "/classify", url=address))
            for address in ("http://127.0.0.1:5000/", "http://169.254.169.254/", "http://[::1]/", "file:///etc/passwd")
        },
        {(422, "wrong_field")},
    ),
    Attack(
        ITEMS[11],
        "a file and classes that are called like formulas",
        lambda s: formulas(s, s.upload(s.picture, FILE_NAMES["formula"]).json["results"][0]["url"] + "/csv"),
        [],
    ),
    Attack(ITEMS[12], "to be sent to another site, by any address", redirects, set()),
    Attack(
        ITEMS[13],
        "what is another's, which is answered as what is not there",
        lambda s: {endpoint for endpoint in OWNED if foreign(s, endpoint) != missing(s, endpoint)},
        set(),
    ),
    Attack(ITEMS[14], "to listen to everybody without a user", lambda s: on_a_network(s, host="0.0.0.0"), FIRST_USER),
    Attack(ITEMS[14], "to stand behind a proxy without a user", lambda s: on_a_network(s, proxies=1), FIRST_USER),
    Attack(
        ITEMS[14],
        "through a proxy on this machine that nobody told it of",
        through_a_proxy,
        [(200, "")] + [(302, "/login")] * 5,
    ),
    Attack(
        ITEMS[15],
        "reading passwords in the database",
        lambda s: (PASSWORD.encode() in database(s), b"$argon2id$" in database(s)),
        (False, True),
    ),
    Attack(ITEMS[16], "looking for it in what is shown and shared", camera_data, set()),
    Attack(ITEMS[16], "looking for it in the pictures that can be taken along", taken_along, set()),
    Attack(ITEMS[16], "looking for it in pictures that join a data set", camera_data_of_own_pictures, set()),
    Attack(ITEMS[17], "deleting what is no data set", deleted_outside, ({404}, True)),
    Attack(ITEMS[17], "ways out of any address, by every method, without a login", files_outside, set()),
    Attack(ITEMS[18], "every address by every method, without a login", lambda s: surprising(s, ""), set()),
    Attack(ITEMS[18], "the same of who is logged in, without a token", lambda s: surprising(s, "bob"), set()),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.item}: {a.tried}")
def test_it_is_refused(site: Site, attack: Attack) -> None:
    assert attack.attempt(site) == attack.refusal


def test_every_item_is_attacked() -> None:
    assert {a.item for a in ATTACKS} == set(ITEMS)
