"""Processes of the service that are killed outright, as in a container, where BentoML starts none again."""

import os
import signal
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


@pytest.fixture
def container(
    tmp_path: Path,
    store_at: Callable[[Path], AbstractContextManager[None]],
    add_model: Callable[..., store.StoredModel],
    serve: Callable[..., AbstractContextManager[str]],
) -> Iterator[httpx.Client]:
    """Asks a server that takes itself to be in a container."""
    with store_at(tmp_path):
        add_model("pets")
    with (
        serve(tmp_path, BENTOML_CONTAINERIZED="true") as url,
        httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
    ):
        yield client


def processes(home: Path) -> Iterator[tuple[int, list[str]]]:
    """Those of the server in that home, with their commands."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("BENTOML_HOME") == str(home) and (command := process.cmdline()):
                yield process.pid, command
        except psutil.Error:
            continue


def kill(home: Path, word: str) -> None:
    """The process of the server in that home whose command has the word."""
    for pid, command in processes(home):
        if word in command:
            os.kill(pid, signal.SIGKILL)


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def wait(client: httpx.Client, wanted: bool) -> None:
    deadline = time.monotonic() + 90  # some seconds where the machine is not busy
    while ready(client) is not wanted:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask_until(stop: threading.Event, client: httpx.Client, picture: bytes, seen: Statuses) -> None:
    while not stop.is_set():
        response = client.post("/classify", content=picture, headers={"Content-Type": "image/png"})
        seen.add((response.status_code, response.json().get("error", {}).get("code", "")))


def test_whatever_is_killed_comes_back_and_what_was_in_it_is_a_clean_error(
    container: httpx.Client, tmp_path: Path, make_photo: Callable[..., bytes]
) -> None:
    seen: Statuses = set()
    stop = threading.Event()
    clients = [threading.Thread(target=ask_until, args=(stop, container, make_photo(i), seen)) for i in range(4)]
    for client in clients:
        client.start()
    kill(tmp_path, "tellapart.runner")
    wait(container, wanted=False)
    wait(container, wanted=True)
    stop.set()
    for client in clients:
        client.join()
    assert seen == {(200, ""), (503, "not_ready")}
    kill(tmp_path, "_bentoml_impl.worker.service")
    wait(container, wanted=False)
    wait(container, wanted=True)
    answer = container.post("/classify", content=make_photo(1), headers={"Content-Type": "image/png"})
    assert answer.json()["top"] == "cat"
    kill(tmp_path, "serve")
    deadline = time.monotonic() + 90
    while left := list(processes(tmp_path)):  # a front without its supervisor would keep the port and answer on
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
