"""A stand-in for the service that answers by a picture's colour, and the web page over it."""

import base64
import io
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.serving import make_server
from werkzeug.test import encode_multipart

from tellapart.dataset import Dataset
from tellapart.images import ImageError, decode
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.settings import Settings
from tellapart.wire import (
    Explanation,
    ModelList,
    ModelSummary,
    NeighbourList,
    NeighbourPicture,
    ServiceError,
    image_error,
    make_result,
)
from webui.app import create_app
from webui.client import ServiceClient
from webui.database import Base, Database
from webui.jobs import Job, Jobs

CLASSES = ["red", "green", "blue"]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SIZES = {"phone": (360, 780), "desktop": (1280, 900)}
ARGUMENTS = (
    "--headless=new --no-first-run --disable-background-networking --disable-component-update --disable-sync "
    "--disable-quic --disable-dev-shm-usage --no-sandbox --window-size=1400,1100 "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
_SHOWN = """return [...document.querySelectorAll(arguments[0])].find(
  (e) => e.checkVisibility({ visibilityProperty: true }) && e.innerText.includes(arguments[1])) ?? null"""
_NAMED = """return [...document.querySelectorAll("button, a")].find(
  (e) => e.checkVisibility({ visibilityProperty: true }) && e.innerText.trim() === arguments[0]) ?? null"""
REPORT = (
    '<!doctype html><meta name="viewport" content="width=device-width"><style>p{color:red}</style>'
    "<main><p>A report</p><script>alert(1)</script>"
)


def model(name: str, version: str, promoted: bool = True, **values: Any) -> ModelSummary:
    """A classifier version as the service lists it."""
    known = {"classes": CLASSES, "created": "2026-11-21T10:00:00+00:00", "backbone": "resnet50"} | values
    return ModelSummary(model=f"{name}:{version}", name=name, version=version, promoted=promoted, **known)


@dataclass
class FakeService:
    """What the stand-in answers with, and what it was asked."""

    models: list[ModelSummary] = field(default_factory=lambda: [model("colours", "v1", accuracy=0.93)])
    calls: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    pictures: int = 0
    broken: Callable[[], Any] | None = None
    neighbours: list[NeighbourPicture] | None = None

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        return self.calls.count(path)

    def refuse_pictures(self, status: int) -> None:
        """Answer so to all but who asks which classifiers there are."""
        self.broken = lambda: None if request.path == "/models" else ("", status)

    def app(self) -> Flask:
        """The stand-in as a WSGI app."""
        app = Flask("fake-service")
        app.before_request(self._note)
        app.register_error_handler(ServiceError, lambda error: (error.body(), error.status))
        app.get("/models")(self._models)
        app.get("/readyz")(self._ready)
        app.get("/reports/<tag>")(self._report)
        app.post("/classify")(self._classify)
        app.post("/classify_batch")(self._classify_batch)
        app.post("/explain")(self._explain)
        app.post("/nearest")(self._nearest)
        return app

    def _note(self) -> Any:
        self.calls.append(request.path)
        self.tokens.append(request.headers.get("Authorization"))
        return self.broken() if self.broken else None

    def _models(self) -> Any:
        default = self.models[0].model if self.models else None
        return ModelList(default=default, models=self.models).model_dump()

    def _ready(self) -> str:
        return "ready"

    def _report(self, tag: str) -> Response:
        return Response(f"{REPORT}<p>{tag}</p>", mimetype="text/html")

    def _classify(self) -> Any:
        return self._answer(request.files["image"].read())

    def _classify_batch(self) -> Any:
        results = []
        for file in request.files.getlist("images"):
            try:
                results.append(self._answer(file.read()))
            except ServiceError as error:
                results.append(error.body())
        return jsonify({"model": request.form["model"], "results": results})

    def _explain(self) -> Any:
        wanted = request.form["class"]
        red = io.BytesIO()
        Image.new("RGBA", (8, 6), (220, 30, 20, 180)).save(red, "PNG")
        sentence = f"It looked at the middle, and found {wanted} there."
        heat_map = base64.b64encode(red.getvalue()).decode()
        return Explanation.model_validate(
            {"model": request.form["model"], "class": wanted, "confidence": 0.9, "sentence": sentence}
            | {"heat_map": heat_map}
        ).model_dump()

    def _nearest(self) -> Any:
        if self.neighbours is None:
            raise ServiceError("no_neighbours", "this version keeps no pictures to compare with")
        return NeighbourList(model=request.form["model"], neighbours=self.neighbours).model_dump()

    def _answer(self, data: bytes) -> dict[str, Any]:
        self.pictures += 1
        try:
            image = decode(data)
        except ImageError as error:
            raise image_error(error) from error
        wanted = request.form["model"]
        chosen = next(m for m in self.models if wanted in (m.model, m.name))
        colour = image.resize((1, 1)).getpixel((0, 0))
        shares = [value + 1 for value in (*colour, *[0] * len(chosen.classes))][: len(chosen.classes)]
        weights = [share / sum(shares) for share in shares]
        top_k = int(request.form.get("top_k", "5"))
        return make_result(chosen.model, chosen.classes, weights, image.size, top_k=top_k, time_ms=41.2).model_dump()


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def service_client(service: FakeService) -> ServiceClient:
    transport = httpx.WSGITransport(app=service.app())
    return ServiceClient("http://service", transport=transport)


@pytest.fixture
def app(settings: Settings, service_client: ServiceClient) -> Flask:
    return create_app(settings, client=service_client, WTF_CSRF_ENABLED=False)


@pytest.fixture
def web(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def upload(web: FlaskClient) -> Callable[..., Any]:
    """Post pictures to the upload form: `upload((bytes, name), ..., json=False, **fields)`."""

    def post(*files: tuple[bytes, str], json: bool = False, **fields: str) -> Any:
        form = MultiDict([*fields.items(), *(("images", FileStorage(io.BytesIO(data), name)) for data, name in files)])
        boundary, body = encode_multipart(form)
        headers = {"Accept": "application/json"} if json else {}
        kind = f'multipart/form-data; boundary="{boundary}"'
        return web.post("/classify", data=body, headers=headers, content_type=kind)

    return post


def _closing(wsgi: Any) -> Any:
    """`wsgi`, whose bodies are closed however they end: werkzeug's server leaves one open if its reader goes away."""

    def chunks(body: Any) -> Iterator[bytes]:
        try:
            yield from body
        finally:
            getattr(body, "close", lambda: None)()

    return lambda environ, start_response: chunks(wsgi(environ, start_response))


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serve a WSGI app on loopback; gives its URL."""
    running = []

    def start(wsgi: Any) -> str:
        server = make_server("127.0.0.1", 0, _closing(wsgi), threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def token_in() -> Callable[[str], str]:
    """Find the form's token in a page."""
    return lambda html: re.search(r'name="csrf_token" value="([^"]+)"', html)[1]  # type: ignore[index]


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    """One Chromium for the whole run; a test that uses it is marked `browser`."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium is missing (Debian packages chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS.split():
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


class Console:
    """What the browser complains about during a test; the browser itself tells each complaint only once."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self._browser = browser
        self._said: list[str] = []
        self._expected = {"400 (BAD REQUEST)"}  # the answer to bad input

    def expect(self, *words: str) -> None:
        """Complaints with one of these words are part of the test."""
        self._expected.update(words)

    def said(self) -> list[str]:
        """All complaints so far, those that were expected too."""
        self._said += [entry["message"] for entry in self._browser.get_log("browser")]
        return self._said

    def unexpected(self) -> list[str]:
        """All others."""
        return [message for message in self.said() if not any(words in message for words in self._expected)]


@pytest.fixture
def console(chromium: webdriver.Chrome) -> Iterator[Console]:
    """The browser's console; at the end of the test nothing may stand in it that was not expected."""
    chromium.get_log("browser")  # of tests before
    console = Console(chromium)
    yield console
    assert console.unexpected() == []


@pytest.fixture(params=SIZES)
def browser(
    request: pytest.FixtureRequest, chromium: webdriver.Chrome, console: Console, serve: Any
) -> Iterator[webdriver.Chrome]:
    """Chromium as a phone and as a desktop, which has nothing to complain about that a test does not expect."""
    width, height = SIZES[request.param]
    screen = {"width": width, "height": height, "screenWidth": width, "screenHeight": height, "deviceScaleFactor": 1}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen | {"mobile": request.param == "phone"})
    yield chromium
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    chromium.get("about:blank")
    chromium.delete_all_cookies()


class Page:
    """Waits for what a page is to show, however often the page exchanges its parts or is loaded anew meanwhile.

    A part that was found may be gone before it is read or pressed, which the browser says in many ways: all of them
    mean to look again. What is still wrong in the end is told.
    """

    def __init__(self, browser: webdriver.Chrome) -> None:
        self._browser = browser

    def until(self, true: Callable[[webdriver.Chrome], Any], what: str = "", seconds: float = 90) -> Any:
        """The first value that counts as true."""
        deadline, error = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                if value := true(self._browser):
                    return value
                error = None
            except WebDriverException as trouble:
                error = trouble
            time.sleep(0.05)
        pytest.fail(f"not within {seconds:.0f} s: {what or true}; {error or ''} the page says: {self._words()}")

    def shown(self, selector: str, text: str = "", seconds: float = 90) -> Any:
        """The first element that can be seen and has this text, as soon as there is one."""
        return self.until(lambda b: b.execute_script(_SHOWN, selector, text), f"{selector} with {text!r}", seconds)

    def press(self, words: str) -> None:
        """Press the button or link with these words."""
        tried = False

        def pressed(browser: webdriver.Chrome) -> bool:
            nonlocal tried
            button = browser.execute_script(_NAMED, words)
            if button is None:
                return tried  # what it leads to is there already
            tried = True
            button.click()
            return True

        self.until(pressed, f"a button {words!r}")

    def fits(self) -> bool:
        """Whether nothing is wider than the screen."""
        return bool(self._browser.execute_script("return document.documentElement.scrollWidth <= screen.width"))

    def _words(self) -> str:
        return str(self._browser.execute_script("return document.body.innerText"))[:2000]


@pytest.fixture
def page(chromium: webdriver.Chrome, console: Console) -> Page:
    """The page that Chromium shows; it is asked by scripts of the test's own, also where the page may have none."""
    return Page(chromium)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Database]:
    """The page's database in both of its kinds; what was made in PostgreSQL is dropped."""
    if request.param == "postgres":
        settings = replace(settings, database_url=request.getfixturevalue("postgres_url"))
    database = Database(settings)
    yield database
    if request.param == "postgres":
        with database.writing() as session:
            Base.metadata.drop_all(session.connection())
    database.close()


@pytest.fixture
def jobs(app: Flask) -> Jobs:
    """The jobs of the page."""
    found: Jobs = app.extensions["tellapart"].jobs
    return found


@pytest.fixture(scope="session")
def stage() -> Callable[..., dict[str, Any]]:
    """A stage of a job as its row has it: `stage("collect cat", 7, finished=True)`."""

    def make(name: str, done: int, total: int | None = 20, finished: bool = False, **values: Any) -> dict[str, Any]:
        return {
            "stage": name, "done": done, "total": total, "unit": "pictures", "seconds": 2.0, "counts": {"kept": done},
            "note": "", "finished": finished, "points": [],
        } | values  # fmt: skip

    return make


@pytest.fixture
def change(app: Flask) -> Callable[..., Job]:
    """Change a job as a worker would: `change(job, state=State.DONE)`."""

    def apply(job: Job, **values: Any) -> Job:
        with app.extensions["tellapart"].database.writing() as session:
            row: Job = session.get_one(Job, job.id)
            row.change(**values)
        return row

    return apply


@pytest.fixture
def fill(make_photo: Callable[..., bytes]) -> Callable[..., list[str]]:
    """A data set with so many pictures of each class: `fill(root, {"cat": 3})` gives their sha256."""

    def make(root: Path, counts: dict[str, int]) -> list[str]:
        dataset = Dataset.create(root, root.name, parse_class_names([*counts, "nothing"]), ["list"])
        digests = []
        for number, (slug, count) in enumerate(counts.items()):
            for i in range(count):
                data = make_photo(100 * number + i)
                picture = inspect(data)
                dataset.store(slug, picture, data)
                row = Attempt(f"list:{slug}{i}", slug, Status.KEPT, Reason.OK, fetched_at=f"2026-01-01T00:00:{i:02}")
                dataset.manifest.add([row.with_picture(picture)])
                digests.append(picture.sha256)
        return digests

    return make
