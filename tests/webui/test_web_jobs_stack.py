"""A classifier made in a real browser over the real processes, while they are stopped, killed and started again."""

import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiosmtpd.controller import Controller
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ("discs", "bars")
EACH = 14
LONG = 300  # seconds, on a machine that is busy with other things
pytestmark = [pytest.mark.browser, pytest.mark.timeout(4 * LONG)]


def port() -> int:
    """One that is free, and below those that connections are given: it stays free while a server is away."""
    while True:
        number = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number


def draw(shape: str, number: int) -> Image.Image:
    image = Image.new("RGB", (120, 120), (255 - number, 240, 200 + number))
    pen, size, left = ImageDraw.Draw(image), 30 + 3 * number, 5 + 2 * number
    box = (left, 20, left + size, 20 + size) if shape == "discs" else (left, 10, left + 12, 110)
    (pen.ellipse if shape == "discs" else pen.rectangle)(box, fill=(7 * number, 90, 120))
    return image


class Inbox:
    """Keeps who was written to."""

    def __init__(self) -> None:
        self.to: list[str] = []

    async def handle_DATA(self, _1: Any, _2: Any, envelope: Any) -> str:  # noqa: N802
        self.to += envelope.rcpt_tos
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    inbox, controller = Inbox(), None
    while controller is None:
        number = port()
        with suppress(OSError):  # another process was quicker to take the port
            (found := Controller(inbox, hostname="127.0.0.1", port=number, ready_timeout=60)).start()
            controller = found
    yield inbox, number
    controller.stop()


class Stack:
    """The web page and the worker as processes, which can be killed and started again."""

    def __init__(self, environment: dict[str, str], web_port: int) -> None:
        self._environment = environment
        self.url = f"http://127.0.0.1:{web_port}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *modules: str) -> None:
        for module in modules:
            command = [sys.executable, "-m", module]
            self._running[module] = subprocess.Popen(command, cwd=ROOT, env=self._environment)
        transport = httpx.HTTPTransport(retries=9)  # waits longer from try to try, about two minutes in all
        with httpx.Client(transport=transport, timeout=LONG) as http:
            assert http.get(f"{self.url}/livez").status_code == 200

    def kill(self, module: str) -> list[psutil.Process]:
        """End it outright; gives what it had started, which ends by itself."""
        process = self._running.pop(module)
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        return below

    def stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        assert [process.wait(LONG) for process in self._running.values()] == [0] * len(self._running)


@pytest.fixture
def stack(tmp_path: Path, inbox: tuple[Inbox, int], serve: Callable[[Any], str], service: Any) -> Iterator[Stack]:
    for shape in SHAPES:
        (tmp_path / "gallery" / shape).mkdir(parents=True)
        for number in range(EACH):
            draw(shape, number).save(tmp_path / "gallery" / shape / f"{shape} {number}.png")
    web_port = port()
    known = {k: v for k, v in os.environ.items() if not k.startswith(("TELLAPART_", "BENTOML_"))}
    stack = Stack(
        known
        | {
            "TELLAPART_HOME": str(tmp_path / "home"),
            "BENTOML_HOME": str(tmp_path / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "TELLAPART_GALLERY": str(tmp_path / "gallery"),
            "TELLAPART_WEB_PORT": str(web_port),
            "TELLAPART_SERVICE_URL": serve(service.app()),
            "TELLAPART_SMTP_URL": f"smtp://127.0.0.1:{inbox[1]}",
            "TORCH_HOME": str(tmp_path / "torch"),
            "HTTPS_PROXY": "http://127.0.0.1:9",
        },
        web_port,
    )
    try:
        stack.start("webui", "webui.worker")
        yield stack
    finally:
        stack.stop()


def loaded(driver: webdriver.Chrome) -> int:
    """How many thumbnails the page shows."""
    script = "return [...document.querySelectorAll('.strip img')].filter(i => i.complete && i.naturalWidth).length"
    return int(driver.execute_script(script))


def test_a_classifier_is_made_whatever_is_stopped_or_killed_meanwhile(
    stack: Stack, chromium: webdriver.Chrome, page: Any, inbox: tuple[Inbox, int], tmp_path: Path, console: Any
) -> None:
    console.expect("net::ERR")  # it is away for a while
    chromium.get(stack.url)
    chromium.find_element(By.ID, "classes").send_keys("discs", Keys.ENTER, "bars,")
    assert [chip.text.split("\n")[0] for chip in chromium.find_elements(By.CSS_SELECTOR, "#chosen li")] == [*SHAPES]
    chromium.find_element(By.ID, "source-openverse").click()
    chromium.find_element(By.ID, "source-gallery").click()
    per_class = chromium.find_element(By.ID, "per_class")
    per_class.clear()
    per_class.send_keys(str(EACH - 2))
    chromium.find_element(By.CSS_SELECTOR, ".more-options summary").click()
    chromium.find_element(By.ID, "name").send_keys("shapes")
    chromium.find_element(By.ID, "email").send_keys("ann@example.org")
    page.press("Look at samples first")

    page.shown(".lead", f"Up to {2 * (EACH - 2)} pictures", LONG)
    page.until(lambda driver: loaded(driver) == 12, "the samples", LONG)
    page.press("Collect and train")

    page.shown(".state", "Working", LONG)
    page.press("Stop")
    page.shown(".state", "Stopped", LONG)
    page.shown("#live", "What it had done is kept")
    page.press("Resume")
    page.shown(".state", "Working", LONG)
    chromium.refresh()

    page.shown(".phase-done", "Collect pictures", LONG)
    left = [*stack.kill("webui.worker"), *stack.kill("webui")]
    assert psutil.wait_procs(left, LONG)[1] == []
    stack.start("webui", "webui.worker")

    page.shown(".state", "Done", LONG)
    page.shown("#part-state", "accuracy")
    page.shown("#part-actions", "Try it")
    assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    page.until(lambda _: inbox[0].to == ["ann@example.org"], "the mail")
    assert len(list((tmp_path / "bentoml" / "models" / "shapes").glob("*/model.json"))) == 1
