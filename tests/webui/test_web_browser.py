"""The upload page in real Chromium: with and without JavaScript, on a phone and on a desktop."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tellapart.settings import Settings
from webui.app import create_app

BRING = """
const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], "brought.png", { type: "image/png" }));
const event = arguments[1] === "drop"
  ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
  : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
document.getElementById("drop").dispatchEvent(event);
"""
MakePicture = Callable[..., bytes]
pytestmark = pytest.mark.browser


@pytest.fixture
def url(serve: Callable[[Any], str], service: Any, tmp_path: Path) -> str:
    settings = Settings(home=tmp_path / "home", service_url=serve(service.app()))
    return serve(create_app(settings))


@pytest.fixture
def files(tmp_path: Path, make_picture: MakePicture) -> list[str]:
    for name, data in {"a.png": make_picture("red"), "b.png": make_picture("blue"), "c.png": b"no picture"}.items():
        (tmp_path / name).write_bytes(data)
    return [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]


def find(page: Any, selector: str, count: int = 1) -> list[Any]:
    """Wait until the page has so many of an element."""
    found: list[Any] = page.until(
        lambda b: (f := b.find_elements(By.CSS_SELECTOR, selector)) and len(f) == count and f, selector
    )
    return found


def await_title(page: Any, beginning: str) -> None:
    page.until(lambda b: b.title.startswith(beginning), beginning)


def test_pictures_are_answered_in_place(browser: webdriver.Chrome, page: Any, url: str, files: list[str]) -> None:
    browser.get(url + "/classify")
    assert not browser.find_element(By.CSS_SELECTOR, "#upload > button").is_displayed()
    browser.find_element(By.ID, "images").send_keys("\n".join(files))
    find(page, ".job .working[hidden]", 3)
    jobs = browser.find_elements(By.CSS_SELECTOR, "#jobs .job")
    assert [job.find_element(By.CSS_SELECTOR, ".job-name").text for job in jobs] == ["a.png", "b.png", "c.png"]
    assert [job.find_element(By.CSS_SELECTOR, ".job-top").text for job in jobs] == ["red", "blue", ""]
    assert "99.2 %" in jobs[0].text
    assert "the file is not a picture" in jobs[2].text.lower()
    assert [job.find_element(By.CLASS_NAME, "thumb").size["width"] > 0 for job in jobs] == [True, True, False]
    assert browser.find_element(By.ID, "status").text
    assert page.fits()

    jobs[0].find_element(By.TAG_NAME, "a").click()
    await_title(page, "red")
    picture = page.shown(".picture img")
    page.until(lambda b: b.execute_script("return arguments[0].naturalWidth", picture) == 64)
    assert page.fits()


def test_a_dropped_picture_is_known_when_it_is_pasted(
    browser: webdriver.Chrome, page: Any, url: str, make_picture: MakePicture
) -> None:
    browser.get(url + "/classify")
    encoded = base64.b64encode(make_picture("lime")).decode()
    browser.execute_script(BRING, encoded, "drop")
    assert "answered from the cache" not in find(page, "[data-result]")[0].text
    browser.execute_script(BRING, encoded, "paste")
    first, second = find(page, "[data-result]", 2)
    assert "answered from the cache" in first.text  # the newest is on top
    assert second.find_element(By.CSS_SELECTOR, ".job-top").text == "green"


def test_a_picture_can_be_tried_again(
    browser: webdriver.Chrome, page: Any, url: str, files: list[str], service: Any, console: Any
) -> None:
    console.expect("503")
    browser.get(url + "/classify")
    service.refuse_pictures(429)  # as the service answers when it is busy
    browser.find_element(By.ID, "images").send_keys(files[0])
    retry = page.shown(".retry")
    assert "busy" in find(page, ".job")[0].text
    service.broken = None
    retry.click()
    assert "red" in find(page, "[data-result]")[0].text


def test_it_works_without_javascript(browser: webdriver.Chrome, page: Any, url: str, files: list[str]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys("\n".join(files))
    browser.find_element(By.CSS_SELECTOR, "#upload > button").click()
    await_title(page, "3 pictures")
    assert browser.find_element(By.TAG_NAME, "h1").text == "2 of 3 pictures classified"
    browser.find_elements(By.CSS_SELECTOR, ".job a")[1].click()
    await_title(page, "blue")
    assert "99.2 %" in browser.find_element(By.TAG_NAME, "main").text


def test_the_keyboard_is_enough(browser: webdriver.Chrome, page: Any, url: str) -> None:
    browser.get(url + "/")
    seen = []
    while "Report of colours" not in seen and len(seen) < 40:
        browser.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(browser.switch_to.active_element.accessible_name)
    assert seen[:5] == ["Skip to the content", "Tellapart", "Classifiers", "Classify", "API"]
    assert seen[5] == "What do you want to tell apart?"
    wanted = ["Pictures of each", "Licence", "Look at samples first", "Start right away", "colours", "Try it colours"]
    assert [name for name in seen if name in wanted] == wanted
    assert seen[-1] == "Report of colours"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"


@pytest.mark.parametrize("path", ["/", "/classify", "/classifiers/colours", "/classifiers/colours/report", "/api"])
def test_pages_fit_the_screen(
    browser: webdriver.Chrome, page: Any, url: str, path: str, service: Any, console: Any
) -> None:
    name = "an-extraordinarily-long-class-name-without-any-place-to-break-it-anywhere-at-all"
    service.models = [service.models[0].model_copy(update={"classes": [name, "b"], "version": "v" * 30})]
    browser.get(url + path)
    assert page.fits()
    if path.endswith("report"):  # the report's own style applies and its script is refused
        assert browser.execute_script("return getComputedStyle(document.querySelector('p')).color") == "rgb(255, 0, 0)"
        console.expect("Content Security Policy")
        assert len(console.said()) == 1
