"""A model store of one's own, a real server process over it, and clients that ask it without a pause."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tellapart import store
from tellapart.bundle import BundleInfo
from tellapart.head import Head
from tellapart.neighbours import Neighbours
from tellapart.rejection import Rejection
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
StoreAt = Callable[[Path], AbstractContextManager[None]]
AddModel = Callable[..., store.StoredModel]


@dataclass
class Server:
    """A running service; `client` asks it, `home` is its BENTOML_HOME, `tags` the classifiers by name."""

    url: str
    home: Path
    tags: dict[str, store.StoredModel]
    client: httpx.Client


@dataclass
class Asked:
    """What clients were answered: when a request was sent, its status or 0 where the connection ended, its code."""

    answers: list[tuple[float, int, str]] = field(default_factory=list)

    @property
    def kinds(self) -> set[tuple[int, str]]:
        """Statuses and codes."""
        return {(status, code) for _, status, code in self.answers}

    def ask(self, client: httpx.Client, picture: bytes) -> bool:
        """Ask once; whether the connection held."""
        sent: list[float] = []

        def trace(event: str, _: object) -> None:
            if event == "http11.send_request_body.complete":
                sent.append(time.monotonic())

        try:
            response = client.post(
                "/classify", content=picture, headers={"Content-Type": "image/png"}, extensions={"trace": trace}
            )
        except httpx.TransportError:
            self.answers.append((max(sent, default=time.monotonic()), 0, ""))
            return False
        code = "" if response.is_success else response.json()["error"]["code"]
        assert ("Retry-After" in response.headers) == (response.status_code == 503)
        self.answers.append((max(sent, default=time.monotonic()), response.status_code, code))
        return True


@pytest.fixture(scope="session")
def asking(make_photo: Callable[..., bytes]) -> Callable[..., AbstractContextManager[Asked]]:
    """Lets some clients ask without a pause, each on a connection of its own: `with asking(url, 4) as asked`.

    They have all been answered when it begins, and have all ended when it ends.
    """

    @contextmanager
    def ask(url: str, clients: int) -> Iterator[Asked]:
        asked, stop, answered = Asked(), threading.Event(), threading.Semaphore(0)

        def go_on(picture: bytes) -> None:
            with httpx.Client(base_url=url, timeout=90, trust_env=False) as client:
                while not stop.is_set():
                    if not asked.ask(client, picture) and not _listens(url):
                        break
                    answered.release()

        threads = [threading.Thread(target=go_on, args=(make_photo(i),)) for i in range(clients)]
        for thread in threads:
            thread.start()
        try:
            assert all(answered.acquire(timeout=90) for _ in range(2 * clients))
            yield asked
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    return ask


def _listens(url: str) -> bool:
    address = httpx.URL(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.host, address.port)) == 0


@pytest.fixture(scope="session")
def processes() -> Callable[..., list[psutil.Process]]:
    """The processes of the server in a home, with a word in their commands: `processes(home, "tellapart.runner")`."""

    def found(home: Path, word: str = "") -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                command = process.cmdline()
                ours = process.environ().get("BENTOML_HOME") == str(home)
                if ours and command and word in ["", *command] and process.status() != psutil.STATUS_ZOMBIE:
                    yield process
            except psutil.Error:
                continue

    return lambda *which: list(found(*which))


@pytest.fixture(scope="session")
def store_at() -> StoreAt:
    """Lets `tellapart.store` work on another folder for a while."""

    @contextmanager
    def at(home: Path) -> Iterator[None]:
        from bentoml._internal.configuration.containers import BentoMLContainer
        from bentoml._internal.models import ModelStore

        (home / "models").mkdir(parents=True, exist_ok=True)
        BentoMLContainer.model_store.set(ModelStore(str(home / "models")))
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("BENTOML_HOME", str(home))
                yield
        finally:
            BentoMLContainer.model_store.reset()

    return at


@pytest.fixture(scope="session")
def add_model(tiny_bundle: Callable[..., BundleInfo]) -> AddModel:
    """Puts a classifier into the store: `add_model("pets", ("cat", "dog"), head=..., report="<h1>..")`."""

    def add(
        name: str,
        classes: tuple[str, ...] = ("cat", "dog"),
        head: Head | None = None,
        report: str = "<h1>Report</h1>",
        **options: Any,
    ) -> store.StoredModel:
        with store.new_model(name) as (folder, version):
            tiny_bundle(folder, classes, head, **options)
            (folder / "report").mkdir()
            (folder / "report" / "index.html").write_text(report)
        return store.resolve(f"{name}:{version}")

    return add


@pytest.fixture(scope="session")
def seeing_head() -> Head:
    """A head of three classes whose answer depends on the picture; its biases centre the logits of coloured blobs.

    For some of them it says none of these.
    """
    weight = np.random.default_rng(0).normal(0, 0.3, (3, 512)).astype(np.float32)
    directions = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    exemplars = directions.astype(np.float16).astype(np.float32)
    rejection = Rejection(exemplars, np.ones(3, np.float32), sure=0.5, alike=10.0, local=0.0, threshold=0.25)
    return Head(weight, np.array([7.4, 17.2, -1.6], np.float32), rejection=rejection)


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Any, make_photo: Any) -> Neighbours:
    """Twelve of the generated photos as what was learned from: digest and class (of three) are their seed."""
    from tellapart.classifier import Loader

    folder = tmp_path_factory.mktemp("learned")
    tiny_bundle(folder)
    classifier = Loader().load(folder)
    pixels = np.stack([classifier.info.preprocessing.from_bytes(make_photo(seed)) for seed in range(12)])
    return Neighbours.of(classifier.extractor(pixels), [f"{i:064x}" for i in range(12)], np.arange(12) % 3)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    store_at: StoreAt,
    add_model: AddModel,
    seeing_head: Head,
    learned: Neighbours,
) -> Iterator[Server]:
    """One server for the whole run, with `pets` (0.7311 and 0.2689 whatever it sees) and `photos` (sees)."""
    home = tmp_path_factory.mktemp("service")
    with store_at(home):
        photos = add_model("photos", ("cat", "dog", "bird"), seeing_head, neighbours=learned)
        models = [photos, add_model("pets")]
        store.promote(models[1].tag)
    with running(home) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield Server(url, home, {m.name: m for m in models}, client)


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """Starts a server of one's own: `with serve(home, NAME="value") as url`."""
    return running


@contextmanager
def running(home: Path, **changes: str) -> Iterator[str]:
    """`bentoml serve` on a free loopback port in a changed environment; stopped with all its processes at the end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = os.environ | {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "TELLAPART_HOME": str(home / "tellapart"),
        "TELLAPART_TOKEN": "",
        "TELLAPART_COMPILE": "off",
        **changes,
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service:Classifier", "--host", "127.0.0.1"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--timeout-keep-alive", "75"],
            cwd=ROOT,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, url, home / "server.log")
            yield url
        finally:
            _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + 240  # a busy machine takes a minute to import everything twice
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{log.read_text()[-3000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(90)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
