"""A classifier made in a real browser over the real processes, while they are stopped, killed and started again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.webui.inbox import Inbox
from tests.webui.stack import LONG, Stack

SHAPES = ("discs", "bars")
EACH = 14
pytestmark = [pytest.mark.browser, pytest.mark.timeout(4 * LONG)]


def draw(shape: str, number: int) -> Image.Image:
    image = Image.new("RGB", (120, 120), (255 - number, 240, 200 + number))
    pen, size, left = ImageDraw.Draw(image), 30 + 3 * number, 5 + 2 * number
    box = (left, 20, left + size, 20 + size) if shape == "discs" else (left, 10, left + 12, 110)
    (pen.ellipse if shape == "discs" else pen.rectangle)(box, fill=(7 * number, 90, 120))
    return image


@pytest.fixture
def stack(tmp_path: Path, inbox: Inbox, serve: Callable[[Any], str], service: Any) -> Iterator[Stack]:
    for shape in SHAPES:
        (tmp_path / "gallery" / shape).mkdir(parents=True)
        for number in range(EACH):
            draw(shape, number).save(tmp_path / "gallery" / shape / f"{shape} {number}.png")
    stack = Stack(
        TELLAPART_HOME=tmp_path / "home",
        BENTOML_HOME=tmp_path / "bentoml",
        TELLAPART_GALLERY=tmp_path / "gallery",
        TELLAPART_SERVICE_URL=serve(service.app()),
        TELLAPART_SMTP_URL=f"smtp://127.0.0.1:{inbox.port}",
        TORCH_HOME=tmp_path / "torch",
        HTTPS_PROXY="http://127.0.0.1:9",
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
    stack: Stack, chromium: webdriver.Chrome, page: Any, inbox: Inbox, tmp_path: Path, console: Any
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
    page.until(lambda _: [to for _, to, _ in inbox.got] == [["ann@example.org"]], "the mail", LONG)
    assert len(list((tmp_path / "bentoml" / "models" / "shapes").glob("*/model.json"))) == 1
