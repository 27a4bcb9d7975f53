"""The small world of a run from class names to a prediction: drawn pictures, a home, and asking it as people do."""

import io
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parent.parent
CLASSES = ("discs", "stripes", "crosses")
PER_CLASS = 14


def draw(kind: str, seed: int, size: int = 160) -> Image.Image:
    """One picture: a shape in a colour of its own on a noisy ground."""
    rng = random.Random(f"{kind} {seed}")
    noise = np.random.default_rng(seed).integers(170, 255, (size, size, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    pen = ImageDraw.Draw(image)
    colour = tuple(rng.randrange(0, 150) for _ in range(3))
    x, y, r = rng.randrange(60, 100), rng.randrange(60, 100), rng.randrange(35, 55)
    if kind == "discs":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif kind == "stripes":
        for left in range(rng.randrange(0, 12), size, 24):
            pen.rectangle((left, 0, left + 11, size), fill=colour)
    else:
        pen.rectangle((x - r, y - 9, x + r, y + 9), fill=colour)
        pen.rectangle((x - 9, y - r, x + 9, y + r), fill=colour)
    return image


def encoded(image: Image.Image) -> bytes:
    """A picture as a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class World:
    """A home of its own, its pictures, and the environment that leads there."""

    folder: Path
    environment: dict[str, str]
    web_port: int
    service_port: int

    def tellapart(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        command = [sys.executable, "-m", "cli", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )


def upload(world: World, browser: webdriver.Chrome, picture: Path) -> str:
    """Choose a picture on the upload page as a person would, and return what the page comes to say of it."""
    browser.get(f"http://127.0.0.1:{world.web_port}/classify")
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(picture))

    def answer(driver: webdriver.Chrome) -> str:
        found = driver.find_elements(By.CSS_SELECTOR, "[data-result]")
        return found[0].text if found else ""

    return WebDriverWait(browser, 60).until(answer)


def shown(browser: webdriver.Chrome, selector: str, words: str = "", seconds: float = 120) -> WebElement:
    """The first element that can be seen and has these words, as soon as there is one."""
    script = """return [...document.querySelectorAll(arguments[0])].find(
      (e) => e.checkVisibility({ visibilityProperty: true }) && e.innerText.includes(arguments[1])) ?? null"""
    patient = WebDriverWait(browser, seconds, ignored_exceptions=[WebDriverException])
    found: WebElement = patient.until(lambda b: b.execute_script(script, selector, words), f"{selector}: {words}")
    return found


def until_it_answers(world: World, browser: webdriver.Chrome, picture: Path, version: str) -> None:
    """Wait until the service has changed over to this version; the one before answers until then."""
    WebDriverWait(browser, 120).until(lambda _: classified(world, picture)["model"] == version, version)


def classified(world: World, picture: Path) -> dict[str, Any]:
    """The service's answer."""
    url = f"http://127.0.0.1:{world.service_port}/classify"
    answer: dict[str, Any] = (
        httpx.post(url, files={"image": picture.read_bytes()}, timeout=60).raise_for_status().json()
    )
    return answer
