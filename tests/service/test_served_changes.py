"""What changes in the model store while a real server process answers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart import store
from tellapart.head import Head
from tests.service.asked import file, problem, text

pytestmark = pytest.mark.service

MakePicture = Callable[..., bytes]
Server = Any


def test_a_promotion_and_a_rollback_are_followed_under_load_and_nobody_notices(
    server: Server,
    store_at: Callable[[Path], AbstractContextManager[None]],
    add_model: Callable[..., store.StoredModel],
    make_photo: MakePicture,
) -> None:
    request = [file(make_photo(1)), text("model", "switching")]
    answered: list[tuple[int, str, str]] = []

    def until(model: store.StoredModel, top: str) -> None:
        began = time.monotonic()
        while answered[-1:] != [(200, model.tag, top)]:
            assert time.monotonic() - began < 90  # less than a second where the machine is not busy
            time.sleep(0.01)
        print(f"{model.tag} answered after {time.monotonic() - began:.2f} s")

    def ask_until(stop: threading.Event) -> None:
        while not stop.is_set():
            response = server.client.post("/classify", files=request)
            answer = response.json()
            answered.append((response.status_code, answer.get("model", ""), answer.get("top", "")))

    def default() -> Any:
        return server.client.post("/classify", files=request[:1]).json()["model"]

    stop = threading.Event()
    with store_at(server.home), ThreadPoolExecutor(4) as pool:
        first = store.promote(add_model("switching", ("cat", "dog")).tag)
        asking = [pool.submit(ask_until, stop) for _ in range(4)]
        try:
            until(first, "cat")
            second = add_model("switching", ("fox", "owl"))
            store.promote(second.tag)
            until(second, "fox")
            store.rollback("switching")
            until(first, "cat")
        finally:
            stop.set()
        for one in asking:
            one.result()
        pets = store.promote(server.tags["pets"].tag)
        deadline = time.monotonic() + 90
        while default() != pets.tag:
            assert time.monotonic() < deadline
    assert set(answered) == {(200, first.tag, "cat"), (200, second.tag, "fox")}


def test_a_damaged_classifier_is_an_error_until_it_is_mended(
    server: Server,
    store_at: Callable[[Path], AbstractContextManager[None]],
    add_model: Callable[..., store.StoredModel],
    make_photo: MakePicture,
) -> None:
    with store_at(server.home):
        model = add_model("damaged", ("cat", "dog"), Head(np.ones((2, 512), np.float32), np.zeros(2, np.float32)))
    path = model.path / "head.safetensors"
    whole = path.read_bytes()
    request = [file(make_photo(1)), text("model", model.tag)]
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    deadline = time.monotonic() + 60
    while (found := problem(server.client.post("/classify", files=request)))[0] == 404 and time.monotonic() < deadline:
        time.sleep(0.1)  # what was not promoted is found within a second
    assert found == (503, "unusable_model")
    assert server.client.post("/classify", files=[file(make_photo(1))]).status_code == 200
    path.write_bytes(whole)
    assert server.client.post("/classify", files=request).status_code == 200
