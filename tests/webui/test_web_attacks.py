"""What the page is held to against those who attack it: each item, what was tried, and the exact refusal.

`ATTACKS` is the table. Beside it every address of the page is tried by those it is not for, and nasty names of
classes and files go through every page and every file that can be taken along.
"""

import csv
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from PIL import Image

from tellapart.dataset import Dataset
from tellapart.errors import UsageError
from tellapart.images import sha256
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.predictions import Judged, write_predictions
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from tellapart.wire import NeighbourPicture
from webui import users
from webui.app import create_app
from webui.jobs import Job, Kind, State
from webui.limits import LIMITS
from webui.server import refuse_strangers

PASSWORD = "a long enough one"
JSON = {"Accept": "application/json"}
MARK = "x-nasty"
FILE_NAMES = {
    "quotes": "a\"b'c`.png",
    "markup": f'"><{MARK} onerror=alert(1)>.png',
    "script": "<script>alert(1)<.png",
    "template": "{{7*7}}${7*7}.png",
    "right to left": "a\u202egnp.exe",
    "emoji": "😀👩‍👩‍👧.png",
    "very long": "n" * 5000 + ".png",
    "formula": '=HYPERLINK("x")',
    "formula behind spaces": " \t=1+1.png",
    "formula behind a semicolon": "holiday;=1+1.png",
    "full-width formula": "＝1+1.png",
    "path parts": "../../etc/passwd",
    "drive": "C:\\Windows\\win.ini",
    "nul": "a\0b.png",
    "line ends": "a\r\nSet-Cookie: x=1.png",
}
CLASS_NAMES = ("a&b 'c' {{7-7}}", "=1+1", "😀 смех", "n" * 80)
SERVED_CLASS_NAMES = (*CLASS_NAMES, f"\"'><{MARK} onerror=alert(1)>", "-2+3")


@dataclass
class Site:
    """The page as it runs with two users: Bob has one of everything, Ann tries to get at it."""

    app: Flask
    service: Any
    picture: bytes
    people: dict[str, FlaskClient] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def person(self, name: str) -> FlaskClient:
        """Somebody who is logged in; "" for nobody."""
        if name not in self.people:
            self.people[name] = self.app.test_client()
            if name:
                assert self.post(name, "/login", name=name, password=PASSWORD).status_code == 303
        return self.people[name]

    def token(self, name: str) -> str:
        """What makes a form of somebody genuine."""
        page = self.person(name).get("/login", follow_redirects=True).text
        return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]  # type: ignore[index]

    def post(
        self,
        who: str,
        path: str,
        accept: Mapping[str, str] = JSON,
        files: Sequence[tuple[str, bytes]] = (),
        **values: str,
    ) -> Any:
        """Send a genuine form as browsers do; `files` are names and bytes."""
        web = self.person(who)
        fields = values | {"csrf_token": self.token(who)}
        parts = [(f'name="{key}"', value.encode(errors="surrogatepass")) for key, value in fields.items()]
        parts += [(f'name="images"; filename="{quoted(name)}"', data) for name, data in files]
        heads = [f"Content-Disposition: form-data; {head}".encode(errors="surrogatepass") for head, _ in parts]
        body = b"".join(b"--x\r\n%b\r\n\r\n%b\r\n" % (h, data) for h, (_, data) in zip(heads, parts, strict=True))
        kind = "multipart/form-data; boundary=x"
        return web.post(path, data=body + b"--x--\r\n", headers=accept, content_type=kind)

    def upload(self, data: bytes, file_name: str = "a.png") -> Any:
        """Send one file as Bob does."""
        return self.post("bob", "/classify", files=[(file_name, data)])

    def address(self, endpoint: str, **changes: Any) -> str:
        """Where an endpoint shows what is Bob's, but for `changes`."""
        rule = next(r for r in self.app.url_map.iter_rules() if r.endpoint == endpoint)
        other = {key: self.values[name] for key, name in OWN_VALUES.get(endpoint, {}).items()}
        values = self.values | other | changes
        return str(self.app.url_map.bind("localhost").build(endpoint, {a: values[a] for a in rule.arguments}))


OWN_VALUES = {
    "create.look": {"job_id": "sample_id"},
    "batches.add": {"batch_id": "folder_id"},
    "classifiers.wrong_picture": {"sha256": "told"},
}


@pytest.fixture
def dataset(settings: Settings, isolated_home: Path, make_photo: Callable[..., bytes]) -> Dataset:
    classes = parse_class_names(CLASS_NAMES)
    dataset = Dataset.create(settings.datasets / "colours", "colours", classes, [])
    for number in range(2 * len(classes)):
        slug, data = classes[number // 2].slug, make_photo(number)
        picture = inspect(data)
        dataset.store(slug, picture, data)
        seen = Attempt(f"u{number}", slug, Status.KEPT, Reason.OK, rank=number, author="=1+1", page_url="javascript:x")
        dataset.manifest.add([seen.with_picture(picture)])
    return dataset


@pytest.fixture
def site(
    settings: Settings,
    service: Any,
    service_client: Any,
    dataset: Dataset,
    tiny_bundle: Callable[..., Any],
    make_picture: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    first = dataset.manifest.kept()[0]
    with new_model("colours") as (folder, version):
        info = tiny_bundle(folder, CLASS_NAMES, file=b"x" * 100, dataset={"name": "colours"})
        (folder / "report").mkdir()
        write_predictions(folder, [Judged(first.sha256, first.class_slug, dataset.classes[1].slug, 0.9)])
    promote(f"colours:{version}")
    assert info
    summary = {"version": version, "model": f"colours:{version}", "classes": list(SERVED_CLASS_NAMES)}
    service.models = [service.models[0].model_copy(update=summary)]
    service.neighbours = [NeighbourPicture(sha256=first.sha256, class_name=SERVED_CLASS_NAMES[4], similarity=0.8)]
    monkeypatch.setattr(users, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))  # quick
    app = create_app(settings, client=service_client)
    for name in ("ann", "bob"):
        app.extensions["tellapart"].users.add(name, PASSWORD)
    app.extensions["tellapart"].users._seen = None
    site = Site(app, service, make_picture("red"))
    fill(site, dataset, version)
    yield site
    app.extensions["tellapart"].database.close()


def fill(site: Site, dataset: Dataset, version: str) -> None:
    """Let Bob have one of everything there is an address for."""
    found, first = site.app.extensions["tellapart"], dataset.manifest.kept()[0]
    options = {"classes": [*CLASS_NAMES], "sources": ["openverse"], "license": "any", "per_class": 2}
    form = {"classes": ", ".join(CLASS_NAMES), "name": "colours", "sources": ["openverse"], "folder": "", "email": ""}
    form |= {"license": "any", "per_class": "2"}
    job = found.jobs.enqueue(Kind.CREATE, "colours", options, owner="bob")
    sample = found.jobs.enqueue(Kind.SAMPLE, "", options | {"form": form}, owner="bob")
    end(site, job.id, State.FAILED)
    end(site, sample.id, State.DONE)
    record_id = site.upload(site.picture, FILE_NAMES["markup"]).json["results"][0]["url"].split("/")[2]
    page = site.post("bob", f"/results/{record_id}/shares", days="1").text
    (share_id,) = re.findall(r"/shares/(\d+)/revoke", page)
    site.post("bob", f"/results/{record_id}/feedback", right="no", keep="yes", **{"class": CLASS_NAMES[0]})
    site.values |= {
        "name": "colours", "version": version, "action": "delete", "filename": "app.css", "told": sha256(site.picture),
        "class_slug": first.class_slug,
        "sha256": first.sha256, "digest": first.sha256, "job_id": job.id, "sample_id": sample.id,
        "record_id": record_id, "share_id": int(share_id), "token": re.search(r"/shared/([\w-]+)", page)[1],  # type: ignore[index]
        "batch_id": site.upload(archive({"a.png": site.picture}), "holiday.zip").json["batch"].split("/")[2],
        "folder_id": site.post("bob", "/batches", total="1", title="holiday").json["batch"].split("/")[2],
    }  # fmt: skip


def quoted(name: str) -> str:
    """A file name as https://html.spec.whatwg.org/#multipart-form-data has it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def end(site: Site, job_id: str, state: State) -> None:
    with site.app.extensions["tellapart"].database.writing() as session:
        session.get_one(Job, job_id).change(state=state, error="no pictures" if state == State.FAILED else "")


def archive(members: Mapping[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            file.writestr(info, data)
    return buffer.getvalue()


# What a browser makes of it


class Reader(HTMLParser):
    """What a browser makes of a page: its elements, its attributes, its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.inline = ""
        self.nonces: set[str | None] = set()
        self.text = ""
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(values)
        if tag == "script" and values.get("type") != "application/json":
            self.nonces.add(values.get("nonce"))
        self._in = "" if values.get("type") == "application/json" else tag
        self.text += " ".join(value or "" for value in values.values())

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in in ("script", "style"):
            self.inline += data.strip()


def nonces(answer: Any) -> tuple[str | None, ...]:
    return tuple(Reader(answer.text).nonces)


def pages(site: Site, which: Sequence[str] = ()) -> dict[str, Any]:
    """What Bob gets from every address that takes GET, or from `which`."""
    found = {}
    for endpoint in which or endpoints(site):
        with site.person("bob").get(site.address(endpoint), follow_redirects=True) as answer:
            answer.data  # noqa: B018 (read before it is closed)
            found[endpoint] = answer
    return found


def unguarded(site: Site) -> set[str]:
    """Addresses whose page would run a script that is not its own."""
    wrong = set()
    for endpoint, answer in pages(site).items():
        if endpoint == "classifiers.report":  # a file of the classifier, with a stricter policy of its own
            assert "script-src" not in answer.headers["Content-Security-Policy"]
            continue
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
        page = Reader(answer.text) if answer.mimetype == "text/html" else Reader("")
        allowed = {f"'nonce-{nonce}'" for nonce in page.nonces} or {""}
        if {policy.get("script-src", "")} != allowed or "unsafe" in str(policy) or policy["default-src"] != "'none'":
            wrong.add(endpoint)
        if page.inline or any(name == "style" or name.startswith("on") for name in page.attributes):
            wrong.add(endpoint)
    return wrong


def formulas(site: Site, address: str) -> list[str]:
    """Cells of a table that a spreadsheet would work out, whatever it takes for the end of a cell."""
    text = site.person("bob").get(address).text
    assert text.count("\n") > 1
    rows = (row for separator in ",;\t" for row in csv.reader(io.StringIO(text), delimiter=separator))
    return [cell for row in rows for cell in row if cell.strip().startswith(tuple("=+-@|%＝＋－＠"))]


def harmless(answer: Any) -> None:
    page = Reader(answer.text)
    assert MARK not in page.tags
    assert "onerror" not in page.attributes
    assert not page.inline


# The table


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
    "a page on a network", "passwords", "the camera's data",
)  # fmt: skip


def refused(answer: Any) -> tuple[int, str]:
    """The status and the code."""
    return answer.status_code, answer.json["error"]["code"]


def changing(site: Site) -> list[str]:
    return [r.endpoint for r in site.app.url_map.iter_rules() if "POST" in (r.methods or ())]


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
    *("classifiers.export", "classifiers.dataset_zip", "classifiers.model_zip"),
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
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.item}: {a.tried}")
def test_it_is_refused(site: Site, attack: Attack) -> None:
    assert attack.attempt(site) == attack.refusal


def test_every_item_is_attacked() -> None:
    assert {a.item for a in ATTACKS} == set(ITEMS)


# Every address, by those it is not for

OPEN = {"static", "login.form", "login.enter", "pages.healthz", "pages.livez", "shares.show", "shares.picture"}
EVERYBODYS = {  # who is logged in may use all classifiers and their pictures
    *(
        "lists.classifiers",
        "lists.datasets",
        "lists.jobs",
        "pages.index",
        "pages.api",
        "create.submit",
        "uploads.form",
        "uploads.classify",
        "batches.start",
        "login.leave",
    ),
    *("classifiers.show", "classifiers.report", "classifiers.card", "classifiers.card_markdown", "classifiers.export"),
    *("classifiers.dataset_zip", "classifiers.model_zip", "classifiers.learned", "classifiers.wrong"),
    *("classifiers.wrong_picture", "classifiers.confirm", "classifiers.change"),
    *("review.show", "review.pictures", "review.picture", "review.details", "audit.show", "audit.reply"),
    *("review_changes.stage", "review_changes.discard", "review_changes.apply_staged", "review_changes.undo_last"),
    *("review_changes.train", "additions.add"),
}
OWNED = {
    *(
        "jobs.show",
        "jobs.live",
        "jobs.events",
        "jobs.picture",
        "jobs.stop",
        "jobs.resume",
        "jobs.remove",
        "create.look",
    ),
    *("batches.show", "batches.add", "batches.part", "batches.json", "batches.csv"),
    *("results.show", "results.download", "results.download_csv", "results.picture", "results.heat_map"),
    *("results.explanation", "results.nearest", "results.tell", "shares.create", "shares.revoke"),
}
LAST = ("jobs.resume", "jobs.stop", "jobs.remove")  # as a stream of a job that goes on has no end
MISSING = {
    "job_id": "A" * 22,
    "record_id": "A" * 16,
    "batch_id": "A" * 22,
    "folder_id": "B" * 22,
    "sample_id": "A" * 22,
}


def endpoints(site: Site) -> list[str]:
    """All that answers to GET."""
    return [r.endpoint for r in site.app.url_map.iter_rules() if "GET" in (r.methods or ())]


def ask(site: Site, name: str, endpoint: str, address: str) -> tuple[int, str]:
    """The status and what it says, once as a page and once as JSON."""
    post, answers = endpoint in changing(site), []
    for accept in ({}, JSON):
        answer = site.post(name, address, accept) if post else site.person(name).get(address, headers=accept)
        with answer:
            answers.append(
                (
                    answer.status_code,
                    re.sub(r'value="[\w.-]{60,}"|nonce="[^"]+"', "", answer.data.decode(errors="replace")),
                )
            )
    return answers[0][0], "".join(text for _, text in answers)


def foreign(site: Site, endpoint: str) -> tuple[int, str]:
    return ask(site, "ann", endpoint, site.address(endpoint))


def missing(site: Site, endpoint: str) -> tuple[int, str]:
    return ask(site, "ann", endpoint, site.address(endpoint, **MISSING))


def test_every_address_is_one_of_these(site: Site) -> None:
    known = [*OPEN, *EVERYBODYS, *OWNED]
    assert len(known) == len(set(known))
    assert {r.endpoint for r in site.app.url_map.iter_rules()} == set(known)


def test_what_is_ones_own_is_there_for_oneself_alone(site: Site) -> None:
    for endpoint in OWNED:
        status, text = foreign(site, endpoint)
        assert (endpoint, status) == (endpoint, 404)
        assert "holiday" not in text
    assert site.person("bob").get(site.address("jobs.live")).headers["X-Job-Active"] == "no"  # she resumed nothing
    assert site.person("").get(site.address("shares.show")).status_code == 200  # and took nothing back
    order = sorted(OWNED, key=lambda e: (LAST.index(e) if e in LAST else -1, e))
    there = {endpoint: ask(site, "bob", endpoint, site.address(endpoint))[0] for endpoint in order}
    assert {endpoint: status for endpoint, status in there.items() if status == 404} == {}
    job = site.app.extensions["tellapart"].jobs.enqueue(Kind.TRAIN, "bobs-own", {}, owner="bob")
    listed = {
        (who, path): job.id in site.person(who).get(path).text for who in ("ann", "bob") for path in ("/", "/jobs")
    }
    assert listed == {("ann", "/"): False, ("ann", "/jobs"): False, ("bob", "/"): True, ("bob", "/jobs"): True}


def test_who_is_not_logged_in_sees_only_what_is_open(site: Site) -> None:
    for endpoint in EVERYBODYS | OWNED:
        address = site.address(endpoint)
        answer = site.post("", address) if endpoint in changing(site) else site.person("").get(address, headers=JSON)
        assert (endpoint, *refused(answer)) == (endpoint, 401, "unauthorized")
    for endpoint in OPEN - {"login.enter", "pages.healthz"}:
        with site.person("").get(site.address(endpoint)) as answer:
            assert (endpoint, answer.status_code) == (endpoint, 200)


def test_nobody_counts_up_to_what_is_anothers(site: Site) -> None:
    assert {name: len(value) * 6 >= 96 for name, value in site.values.items() if name in MISSING} == dict.fromkeys(
        MISSING, True
    )
    assert len(site.values["token"]) * 6 >= 256


# Names, through every page and file


def test_nasty_names_of_classes_are_only_text_on_every_page(site: Site) -> None:
    seen = set()
    for endpoint, answer in pages(site).items():
        assert answer.status_code < 400 or endpoint in ("pages.healthz",), endpoint
        if answer.mimetype == "text/html" and endpoint != "classifiers.report":
            harmless(answer)
            seen |= {name for name in SERVED_CLASS_NAMES if name in Reader(answer.text).text}
        elif answer.mimetype == "text/csv":
            assert formulas(site, site.address(endpoint)) == []
    assert seen == set(SERVED_CLASS_NAMES)


def test_nasty_names_of_files_are_only_text_on_every_page(site: Site) -> None:
    where = [e for e in endpoints(site) if e.split(".")[0] in ("results", "shares", "batches", "classifiers")]
    for name in FILE_NAMES.values():
        member = name.replace("\0", "").encode(errors="replace").decode()
        shown = site.upload(site.picture, name).json["results"][0]
        site.values["record_id"] = shown["url"].split("/")[2]
        site.values["batch_id"] = site.upload(archive({member: site.picture}), name).json["batch"].split("/")[2]
        site.post("bob", site.address("results.tell"), right="no", keep="yes", **{"class": CLASS_NAMES[0]})
        link = site.post("bob", site.address("shares.create"), {}, days="1")
        site.values["token"] = re.search(r"/shared/([\w-]+)", link.text)[1]  # type: ignore[index]
        harmless(link)
        found = pages(site, where)
        for endpoint, answer in found.items():
            assert answer.status_code == 200, (endpoint, name)
            if answer.mimetype == "text/html" and endpoint != "classifiers.report":
                harmless(answer)
            if answer.mimetype == "text/csv":
                assert formulas(site, site.address(endpoint)) == []
        for endpoint in ("results.show", "shares.show", "batches.show", "classifiers.wrong"):
            assert shown["name"] in Reader(found[endpoint].text).text
        assert 0 < len(shown["name"]) <= 120
        assert not set("/\\\0\r\n\u202e") & set(shown["name"])


def test_a_name_that_is_no_text_is_refused_with_its_form(site: Site) -> None:
    assert refused(site.upload(site.picture, "a\ud800b.png")) == (400, "wrong_token")


def test_nasty_names_stay_inside_what_is_taken_along(site: Site) -> None:
    for endpoint in ("classifiers.dataset_zip", "classifiers.model_zip"):
        data = site.person("bob").get(site.address(endpoint)).data
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            assert all(re.fullmatch(r"[\w./ -]+", name) and ".." not in name for name in file.namelist())
            for name in file.namelist():
                if name.endswith(".csv"):
                    rows = csv.reader(io.StringIO(file.read(name).decode()))
                    assert [c for row in rows for c in row if c.strip().startswith(tuple("=+@|%"))] == [], name
    card = site.person("bob").get(site.address("classifiers.card_markdown")).text
    assert not re.search(r"^=|<", card, re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in FILE_NAMES.values() if set(n) & set('/\\<>|"*?:`\0\u202e') or len(n) > 80])
def test_names_that_no_class_may_have_are_refused(site: Site, name: str) -> None:
    sent = {"classes": f"dog, {name}", "sources": "openverse", "license": "any", "per_class": "20"}
    answer = site.post("bob", "/create", {}, **sent)
    assert answer.status_code == 400
    assert "lass name" in answer.text
    harmless(answer)
