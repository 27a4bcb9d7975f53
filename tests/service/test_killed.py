"""Processes of the service that are killed outright, as in a container, where BentoML starts none again."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import psutil
import pytest

from tellapart import store

pytestmark = pytest.mark.service

Statuses = set[tuple[int, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("container")


@pytest.fixture(scope="module")
def container(
    home: Path,
    store_at: Callable[[Path], AbstractContextManager[None]],
    add_model: Callable[..., store.StoredModel],
    serve: Callable[..., AbstractContextManager[str]],
) -> Iterator[httpx.Client]:
    """Asks a server that takes itself to be in a container; the last test ends it."""
    with store_at(home):
        add_model("pets")
    with (
        serve(home, BENTOML_CONTAINERIZED="true") as url,
        httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
    ):
        yield client


def processes(home: Path, word: str = "") -> Iterator[psutil.Process]:
    """Those of the server in that home, with a word in their commands."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if process.environ().get("BENTOML_HOME") == str(home) and command and word in ["", *command]:
                yield process
        except psutil.Error:
            continue


def kill(home: Path, word: str) -> None:
    """All processes of the server in that home whose command has the word."""
    for process in processes(home, word):
        process.kill()


def keeper_and_runner(home: Path) -> tuple[psutil.Process, psutil.Process]:
    """What has imported torch, and what it forked."""
    (both,) = [(p, c) for p in processes(home, "tellapart.runner") for c in p.children() if c.cmdline() == p.cmdline()]
    return both


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90  # some seconds where the machine is not busy
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask_until(stop: threading.Event, client: httpx.Client, picture: bytes, seen: Statuses) -> None:
    while not stop.is_set():
        response = client.post("/classify", content=picture, headers={"Content-Type": "image/png"})
        seen.add((response.status_code, response.json().get("error", {}).get("code", "")))


def classified(client: httpx.Client, picture: bytes) -> bool:
    response = client.post("/classify", content=picture, headers={"Content-Type": "image/png"})
    return response.status_code == 200 and response.json()["top"] == "cat"


@pytest.fixture
def asked(container: httpx.Client, make_photo: Callable[..., bytes]) -> Iterator[Statuses]:
    """What four clients see that ask without a pause."""
    seen: Statuses = set()
    stop = threading.Event()
    clients = [threading.Thread(target=ask_until, args=(stop, container, make_photo(i), seen)) for i in range(4)]
    for client in clients:
        client.start()
    until(lambda: (200, "") in seen)
    yield seen
    stop.set()
    for client in clients:
        client.join()


def test_a_runner_that_is_killed_is_forked_again_and_what_was_in_it_is_a_clean_error(
    container: httpx.Client, asked: Statuses, home: Path, make_photo: Callable[..., bytes]
) -> None:
    keeper, first = keeper_and_runner(home)
    assert keeper.num_threads() == 1  # else it could not be forked
    assert not keeper.net_connections("tcp")  # else it would keep the port when the fronts are gone
    first.kill()
    until(lambda: (503, "not_ready") in asked)
    until(lambda: classified(container, make_photo(1)))
    assert keeper_and_runner(home) == (keeper, *keeper.children())
    keeper.kill()
    assert classified(container, make_photo(1))
    kill(home, "tellapart.runner")
    until(lambda: not ready(container))
    until(lambda: classified(container, make_photo(1)))
    assert asked == {(200, ""), (503, "not_ready")}


def test_whatever_else_is_killed_comes_back(
    container: httpx.Client, home: Path, make_photo: Callable[..., bytes]
) -> None:
    kill(home, "_bentoml_impl.worker.service")
    until(lambda: not ready(container))
    until(lambda: ready(container))
    assert classified(container, make_photo(1))
    kill(home, "serve")
    deadline = time.monotonic() + 90
    while left := list(processes(home)):  # a front without its supervisor would keep the port and answer on
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
