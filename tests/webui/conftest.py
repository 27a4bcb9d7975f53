"""The web page over a stand-in for the service, in Chromium too; jobs and data sets for it."""

import io
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.serving import make_server
from werkzeug.test import encode_multipart

from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.settings import Settings
from tests.webui.chromium import Console, Page
from tests.webui.fake_service import FakeService
from tests.webui.inbox import Inbox
from webui import events
from webui.app import create_app
from webui.client import ServiceClient
from webui.database import Base, Database
from webui.jobs import Job, Jobs

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SIZES = {"phone": (360, 780), "desktop": (1280, 900)}
ARGUMENTS = (
    "--headless=new --no-first-run --disable-background-networking --disable-component-update --disable-sync "
    "--disable-quic --disable-dev-shm-usage --no-sandbox --window-size=1400,1100 "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
UNTOUCHED: dict[str, dict[str, Any]] = {  # what undoes everything that a test may change in the browser
    "Network.clearBrowserCookies": {},
    "Browser.resetPermissions": {},
    "Browser.setDownloadBehavior": {"behavior": "default"},
    "Emulation.setEmulatedMedia": {"media": "", "features": []},
    "Emulation.setScriptExecutionDisabled": {"value": False},
    "Emulation.setTimezoneOverride": {"timezoneId": ""},
}


class Clock:
    """Time that passes when told to, or while it is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


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
def app(settings: Settings, service_client: ServiceClient) -> Iterator[Flask]:
    app = create_app(settings, client=service_client, WTF_CSRF_ENABLED=False)
    yield app
    app.extensions["tellapart"].decoders.close()


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


@pytest.fixture(autouse=True)
def room_for_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test has less room because streams of the one before it do not know yet that nobody reads them."""
    monkeypatch.setattr(events, "_room", BoundedSemaphore(events.MOST_STREAMS))


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
def inbox() -> Iterator[Inbox]:
    """A mail server on loopback that keeps what comes."""
    inbox = Inbox()
    inbox.start()
    yield inbox
    inbox.stop()


@pytest.fixture
def token_in() -> Callable[[str], str]:
    """Find the form's token in a page."""
    return lambda html: re.search(r'name="csrf_token" value="([^"]+)"', html)[1]  # type: ignore[index]


@pytest.fixture(scope="session")
def whole_run_chromium() -> Iterator[webdriver.Chrome]:
    """The one Chromium behind `chromium`, which tests use."""
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


@pytest.fixture
def chromium(whole_run_chromium: webdriver.Chrome, serve: Any) -> Iterator[webdriver.Chrome]:
    """Chromium as a desktop, whatever tests before changed in it; a test that uses it is marked `browser`.

    Its page is left before the server ends (so it needs `serve`): one that goes on asking would complain later.
    """
    for command, arguments in UNTOUCHED.items():
        whole_run_chromium.execute_cdp_cmd(command, arguments)
    resize(whole_run_chromium, "desktop")
    yield whole_run_chromium
    whole_run_chromium.get("about:blank")


def resize(browser: webdriver.Chrome, size: str) -> None:
    width, height = SIZES[size]
    screen = {"width": width, "height": height, "screenWidth": width, "screenHeight": height, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen | {"mobile": size == "phone"})


@pytest.fixture
def console(chromium: webdriver.Chrome) -> Iterator[Console]:
    """The browser's console; at the end of the test nothing may stand in it that was not expected."""
    chromium.get_log("browser")  # of tests before
    console = Console(chromium)
    yield console
    assert console.unexpected() == []


@pytest.fixture(params=SIZES)
def browser(request: pytest.FixtureRequest, chromium: webdriver.Chrome, console: Console) -> webdriver.Chrome:
    """Chromium as a phone and as a desktop, which has nothing to complain about that a test does not expect."""
    resize(chromium, request.param)
    return chromium


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


@pytest.fixture
def pictures(make_picture: Callable[..., bytes]) -> Callable[[int], dict[str, bytes]]:
    """So many pictures in a folder, by name."""
    return lambda count: {f"folder/{i:03d}.png": make_picture((i, 0, 0)) for i in range(count)}


@pytest.fixture
def send(web: FlaskClient) -> Callable[..., Any]:
    """Post the pictures numbered from `start` to a batch."""

    def post(batch: str, start: int, *files: tuple[bytes, str]) -> Any:
        data = {"start": str(start), "images": [(io.BytesIO(data), name) for data, name in files]}
        return web.post(batch, data=data, headers={"Accept": "application/json"})

    return post
