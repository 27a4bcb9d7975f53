"""The page as it runs with two users, one of whom has one of everything, and what a browser makes of its answers."""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from tellapart.dataset import Dataset
from tellapart.images import sha256
from webui.jobs import Job, Kind, State

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
    exported = found.settings.cache / "exports" / f"colours-{version}-onnx"
    exported.mkdir(parents=True)
    (exported / "model.onnx").write_bytes(b"x")
    site.values |= {
        "name": "colours", "version": version, "action": "delete", "filename": "app.css", "told": sha256(site.picture),
        "class_slug": first.class_slug, "kind": "onnx",
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


def endpoints(site: Site) -> list[str]:
    """All that answers to GET."""
    return [r.endpoint for r in site.app.url_map.iter_rules() if "GET" in (r.methods or ())]


def changing(site: Site) -> list[str]:
    return [r.endpoint for r in site.app.url_map.iter_rules() if "POST" in (r.methods or ())]


def refused(answer: Any) -> tuple[int, str]:
    """The status and the code."""
    return answer.status_code, answer.json["error"]["code"]


def home(site: Site) -> Path:
    """Where the page keeps what it keeps."""
    folder: Path = site.app.extensions["tellapart"].settings.home / "web"
    return folder


def database(site: Site) -> bytes:
    return b"".join(path.read_bytes() for path in home(site).glob("tellapart.sqlite*"))
