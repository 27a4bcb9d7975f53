"""Helpers of the collecting tests: a stand-in web site, folders of pictures, sources that do as told."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from scraping.browser import Browser, open_browser
from scraping.source import Candidate
from scraping.sources.shown import PageSource
from scraping.sources.site import site as site_source
from tellapart.dataset import Dataset
from tellapart.names import ClassName, parse_class_names
from tellapart.settings import Settings

Answer = Callable[[Request], Response]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Site:
    """A web site on a loopback port that answers as its table says and counts what it is asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.release = Event()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True
        self._thread = Thread(target=lambda: self._server.serve_forever(poll_interval=0.02))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def serve(self, path: str, body: bytes, **options: Any) -> str:
        """Answer a path with a body; gives its address."""
        return self.on(path, lambda _: Response(body, **options))

    def on(self, path: str, answer: Answer) -> str:
        self.answers[path] = answer
        return self.url + path

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: Any, start: Any) -> Iterable[bytes]:
        request = Request(environ)
        self.asked[request.path] += 1
        self.requests.append(request)
        answer = self.answers.get(request.path, lambda _: Response(status=404))
        return answer(request)(environ, start)


class ListSource:
    """A source that yields given addresses, by class slug, and ends with an error where told to."""

    local = True

    def __init__(
        self,
        addresses: dict[str, list[str]],
        name: str = "list",
        error: Exception | None = None,
        remembered: bool = True,
        **origin: str,
    ) -> None:
        self.name, self.addresses, self.error, self.remembered = name, addresses, error, remembered
        self.origin = origin
        self.asked: list[str] = []
        self.yielded = 0
        self.closed = 0

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:
        self.asked.append(class_name.slug)
        for rank, url in enumerate(self.addresses.get(class_name.slug, [])):
            self.yielded += 1
            yield Candidate(url, self.name, query, rank, **self.origin)
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def list_source() -> type[ListSource]:
    return ListSource


@pytest.fixture
def site() -> Generator[Site, None, None]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", contact="someone@example.org")


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Dataset]:
    def make(*names: str) -> Dataset:
        return Dataset.create(tmp_path / "dataset", "dataset", parse_class_names(names), ["list"])

    return make


@pytest.fixture
def class_folders(tmp_path: Path, make_photo: Callable[..., bytes]) -> Callable[..., Path]:
    """Make a folder of class folders, each with so many pictures, no two the same."""

    def make(**counts: int) -> Path:
        seed = 0
        for name, count in counts.items():
            folder = tmp_path / "pictures" / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed += 1
                (folder / f"{name}_{number:03}.png").write_bytes(make_photo(seed))
        return tmp_path / "pictures"

    return make


@pytest.fixture
def browser_settings(tmp_path: Path) -> Settings:
    """Settings with a real browser; without one the test is skipped."""
    return _with_browser(Settings(home=tmp_path / "home"))


@pytest.fixture(scope="module")
def browser() -> Generator[Browser, None, None]:
    """One Chromium for all tests of a module. It is patient, so a page should say that it is shown to its end."""
    settings = _with_browser(Settings(home=Path("/nonexistent")))
    with open_browser(settings, local=True, patience=60) as browser:
        yield browser


@pytest.fixture
def gallery(
    site: Site, settings: Settings, browser: Browser, tmp_path: Path
) -> Generator[Callable[..., PageSource], None, None]:
    """Make a source from a recipe for a page of this body, standing at /list; `sayEnd()` there makes #end, its end."""

    def make(body: str, suffix: str = ".toml", **recipe: object) -> PageSource:
        site.serve("/list", f"<!doctype html><body>{_SAY_END}{body}".encode(), mimetype="text/html")
        said = {"url": f"{site.url}/list?q={{query}}", "items": ".card", "picture": {"selector": "img"}, "local": True}
        said |= {"end": "#end"} | recipe
        path = tmp_path / f"recipe{suffix}"
        path.write_text(json.dumps(said) if suffix == ".json" else _toml(said))
        return made.enter_context(closing(site_source(path, settings, browsing=lambda *_: nullcontext(browser))))

    with ExitStack() as made:
        yield make


_SAY_END = """<script>
const sayEnd = () => document.body.insertAdjacentHTML("beforeend", "<p id=end></p>");
</script>"""


def _with_browser(settings: Settings) -> Settings:
    if not (os.access(settings.chromium, os.X_OK) and os.access(settings.chromedriver, os.X_OK)):
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    return settings


def _toml(said: dict[str, object]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items() if not isinstance(value, dict)]
    for key, table in said.items():
        if isinstance(table, dict):
            lines += [f"[{key}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items())]
    return "\n".join(lines)


@pytest.fixture
def short_folder() -> Generator[Path, None, None]:
    """A folder for temporary files, with a name that Chromium can make a socket in."""
    with tempfile.TemporaryDirectory(prefix="short-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
