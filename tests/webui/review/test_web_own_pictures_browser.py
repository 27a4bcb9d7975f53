"""Adding one's own pictures to a data set, and deleting it, in real Chromium, with and without JavaScript."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tellapart.dataset import Dataset
from tellapart.settings import Settings
from tests.webui.review.helpers import kept
from webui.app import create_app

pytestmark = pytest.mark.browser


@pytest.fixture
def url(serve: Callable[[Any], str], service: Any, settings: Settings, dataset: Dataset) -> str:
    return serve(create_app(Settings(home=settings.home, service_url=serve(service.app()))))


@pytest.fixture
def files(tmp_path: Path, make_photo: Callable[..., bytes]) -> list[str]:
    (tmp_path / "words.txt").write_text("no picture")
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(make_photo(90 + number))
    return [str(tmp_path / name) for name in ("0.png", "1.png", "words.txt")]


def add(browser: webdriver.Chrome, page: Any, files: list[str]) -> None:
    browser.find_element(By.CSS_SELECTOR, "#own summary").click()
    page.shown("#own-images").send_keys("\n".join(files))
    page.press("Add them")


@pytest.mark.parametrize("scripts", [True, False])
def test_pictures_are_added_and_shown(
    browser: webdriver.Chrome,
    page: Any,
    url: str,
    dataset: Dataset,
    files: list[str],
    axe: Callable[..., list[str]],
    scripts: bool,
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    browser.get(url + "/datasets/pets?class=dog")
    add(browser, page, files)
    said = page.shown(".note", "2 pictures added to dog.").text
    assert "1 file could not be taken: 1 × the file is not a picture (words.txt)" in said
    assert kept(dataset) == {"cat": 3, "dog": 5}
    assert browser.find_element(By.CSS_SELECTOR, ".tab[aria-current]").text == "dog 5"
    assert page.fits()
    if scripts:
        browser.find_element(By.CSS_SELECTOR, "#own summary").click()
        assert axe(browser) == []
        add_again = browser.find_element(By.ID, "own-images")
        add_again.send_keys(files[0])
        page.press("Add them")
        page.shown(".note", "1 picture it has or had already.")


def test_deleting_is_asked_first(
    browser: webdriver.Chrome, page: Any, url: str, dataset: Dataset, axe: Callable[..., list[str]]
) -> None:
    browser.get(url + "/datasets/pets")
    page.press("Delete all")
    page.shown("h1", "Delete the pictures of pets?")
    assert page.fits()
    assert axe(browser) == []
    page.press("No, leave it")
    page.shown("h1", "pets")
    assert dataset.root.exists()
    page.press("Delete all")
    page.press("Delete them")
    page.shown(".note", "The data set pets is deleted.")
    assert not dataset.root.exists()
