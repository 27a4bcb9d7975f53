"""What the page is held to against those who attack it: each item, what was tried, and the exact refusal.

`ATTACKS` is the table. Beside it stand tests of every address by those it is not for, and of nasty names.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from PIL import Image

from tellapart.dataset import Dataset
from tellapart.errors import UsageError
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status, inspect
from tests.webui.attacks.addresses import OWNED, foreign, missing
from tests.webui.attacks.methods import files_outside, surprising
from tests.webui.attacks.site import (
    FILE_NAMES,
    JSON,
    PASSWORD,
    Site,
    archive,
    changing,
    endpoints,
    formulas,
    nonces,
    refused,
    unguarded,
)
from webui.app import create_app
from webui.limits import LIMITS
from webui.server import refuse_strangers


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


def said_of_members(site: Site, data: bytes) -> dict[str, str]:
    """What is said of each file of an archive."""
    batch = site.upload(data, "x.zip").json["batch"]
    answer = site.person("bob").get(f"{batch}/part").json
    return {r["name"]: r.get("error", {}).get("message", "") for r in answer["results"]}  # type: ignore[index]


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def understated() -> bytes:
    """A file that unpacks to a hundred times what the directory says."""
    data = bytearray(archive({"a.png": bytes(100_000)}))
    place = data.find(b"PK\x01\x02")
    data[place + 24 : place + 28] = (1000).to_bytes(4, "little")
    return bytes(data)


def picture_of(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def what_a_polyglot_becomes(site: Site) -> tuple[str, str, bool, set[bool]]:
    """A picture with a script behind it, called a page: how it is served, and under what names it is kept."""
    data = site.picture + b"<script>alert(1)</script>"
    result = site.upload(data, "evil.html").json["results"][0]
    with site.person("bob").get(result["picture"]) as shown:
        kinds = shown.headers["Content-Type"], shown.headers["X-Content-Type-Options"]
        clean = b"<script" not in shown.data
    names = {path.name for path in (home(site) / "pictures").glob("*.*")}
    return *kinds, clean, {bool(re.fullmatch(r"[0-9a-f]{64}\.jpg", name)) for name in names}


def with_camera_data() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "my address"
    exif.get_ifd(0x8825)[1] = "N"
    buffer = io.BytesIO()
    Image.new("RGB", (90, 60), "red").save(buffer, "JPEG", exif=exif, comment=b"my address")
    assert buffer.getvalue().count(b"my address") == 2
    return buffer.getvalue()


def camera_data(site: Site) -> set[str]:
    """Where something that only the camera knew is still found in what can be looked at."""
    where = site.upload(with_camera_data(), "a.jpg").json["results"][0]["url"]
    link = re.search(r"/shared/[\w-]+", site.post("bob", f"{where}/shares", days="1").text)[0]  # type: ignore[index]
    found = set()
    for name, path in (("bob", f"{where}/picture.jpg"), ("", f"{link}/picture.jpg")):
        with site.person(name).get(path) as answer:
            assert answer.mimetype == "image/jpeg"
            if b"my address" in answer.data or Image.open(io.BytesIO(answer.data)).getexif():
                found.add(path)
    return found


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


def home(site: Site) -> Path:
    """Where the page keeps what it keeps."""
    folder: Path = site.app.extensions["tellapart"].settings.home / "web"
    return folder


def database(site: Site) -> bytes:
    return b"".join(path.read_bytes() for path in home(site).glob("tellapart.sqlite*"))


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


def taken_along(site: Site) -> set[str]:
    """Members of the pictures' archive that still have what only the camera knew."""
    found = site.app.extensions["tellapart"]
    dataset = Dataset.open(found.settings.datasets / "colours")
    picture = inspect(data := with_camera_data())
    dataset.store(dataset.classes[0].slug, picture, data)
    seen = Attempt("camera", dataset.classes[0].slug, Status.KEPT, Reason.OK).with_picture(picture)
    dataset.manifest.add([seen])
    with zipfile.ZipFile(io.BytesIO(site.person("bob").get(site.address("classifiers.dataset_zip")).data)) as file:
        assert any(picture.sha256 in name for name in file.namelist())
        return {name for name in file.namelist() if b"my address" in file.read(name)}


COSTLY = (
    *("create.submit", "review_changes.train", "review_changes.apply_staged", "uploads.classify", "shares.create"),
    *("batches.start", "batches.add", "batches.show", "batches.part"),
    *("results.heat_map", "results.explanation", "results.nearest"),
    *("classifiers.export", "classifiers.exported", "classifiers.dataset_zip", "classifiers.model_zip"),
)
FIRST_USER = "Make the first user with: tellapart users add NAME, or leave TELLAPART_HOST and TELLAPART_PROXIES unset"
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
    Attack(ITEMS[17], "ways out of any address, by every method, without a login", files_outside, set()),
    Attack(ITEMS[18], "every address by every method, without a login", lambda s: surprising(s, ""), set()),
    Attack(ITEMS[18], "the same of who is logged in, without a token", lambda s: surprising(s, "bob"), set()),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.item}: {a.tried}")
def test_it_is_refused(site: Site, attack: Attack) -> None:
    assert attack.attempt(site) == attack.refusal


def test_every_item_is_attacked() -> None:
    assert {a.item for a in ATTACKS} == set(ITEMS)
