"""Processes of the service that are killed outright, as in a container, where BentoML starts none again."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import psutil
import pytest

from tellapart import store
from tests.service.processes import FRONT, RUNNER, Asking, Processes, until

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]  # servers start twice in them


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
        httpx.Client(base_url=url, timeout=90, trust_env=False) as client,
    ):
        yield client


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.kill()


def keeper_and_runner(runners: list[psutil.Process]) -> tuple[psutil.Process, psutil.Process]:
    """What has imported torch, and what it forked."""
    (both,) = [(p, c) for p in runners for c in p.children() if c.cmdline() == p.cmdline()]
    return both


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def classified(client: httpx.Client, picture: bytes) -> bool:
    try:
        response = client.post("/classify", content=picture, headers={"Content-Type": "image/png"})
    except httpx.HTTPError:
        return False
    return response.status_code == 200 and response.json()["top"] == "cat"


def test_a_runner_that_is_killed_is_forked_again_and_what_was_in_it_is_a_clean_error(
    container: httpx.Client,
    asking: Asking,
    processes: Processes,
    home: Path,
    make_photo: Callable[..., bytes],
) -> None:
    keeper, first = keeper_and_runner(processes(home, RUNNER))
    assert keeper.num_threads() == 1  # else it could not be forked
    assert not keeper.net_connections("tcp")  # else it would keep the port when the fronts are gone
    with asking(str(container.base_url), 4) as asked:
        first.kill()
        print(f"said after {until(lambda: not ready(container)):.2f} s")
        print(f"back after {until(lambda: classified(container, make_photo(1))):.2f} s")
        assert keeper_and_runner(processes(home, RUNNER)) == (keeper, *keeper.children())
        keeper.kill()
        assert classified(container, make_photo(1))  # the Runner works on without what it was forked from
        kill(processes(home, RUNNER))
        until(lambda: not ready(container))
        until(lambda: classified(container, make_photo(1)))
    slow = {(503, "overloaded")}  # what a picture is told that waited half a minute for its Runner
    assert asked.kinds - slow == {(200, ""), (503, "not_ready")}


def test_whatever_else_is_killed_comes_back(
    container: httpx.Client, processes: Processes, home: Path, make_photo: Callable[..., bytes]
) -> None:
    kill(processes(home, FRONT))
    until(lambda: not ready(container))
    until(lambda: ready(container))
    assert classified(container, make_photo(1))
    kill(processes(home, "serve"))
    until(lambda: not processes(home))  # a front without its supervisor would keep the port and answer on
