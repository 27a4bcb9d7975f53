"""An answer of none of the classes in real Chromium: said in words, and no share is shown as a chance."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tellapart.none_of_these import ALWAYS_ANSWERS
from tellapart.settings import Settings
from webui.app import create_app

pytestmark = pytest.mark.browser


@pytest.fixture
def url(serve: Callable[[Any], str], service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page over a service that knows none of what it is shown."""
    sure = service._answer
    monkeypatch.setattr(type(service), "_answer", lambda _, data: sure(data) | {"none_of_these": True})
    return serve(create_app(Settings(home=tmp_path / "home", service_url=serve(service.app()))))


@pytest.fixture
def files(tmp_path: Path, make_picture: Callable[..., bytes]) -> list[str]:
    paths = [tmp_path / f"{number}.png" for number in range(13)]
    for number, path in enumerate(paths):
        path.write_bytes(make_picture((250, 10 * number, 0)))
    return [str(path) for path in paths]


def test_a_row_says_so_and_leads_nowhere(browser: webdriver.Chrome, page: Any, url: str, files: list[str]) -> None:
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys(files[0])
    row = page.shown("[data-result]", "None of these")
    assert "not how likely they are" in row.text
    assert browser.find_element(By.ID, "status").text == "0.png: None of these."
    first = row.find_element(By.CSS_SELECTOR, ".bars li")
    assert first.value_of_css_property("font-weight") == "400"
    browser.get(url + row.get_attribute("data-result"))
    assert "names none of its classes" in page.shown("h1 + p").text


def test_a_tile_shows_no_share(browser: webdriver.Chrome, page: Any, url: str, files: list[str]) -> None:
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys("\n".join(files))
    page.shown("#many-words", "All 13 are done")
    assert {tile.text for tile in browser.find_elements(By.CSS_SELECTOR, ".tile-top")} == {"None of these"}
    browser.get(page.shown("#many-page").get_attribute("href"))
    assert {tile.text for tile in browser.find_elements(By.CSS_SELECTOR, ".tile-top")} == {"None of these"}


def test_a_classifier_that_never_says_so_is_told_of_in_rows_and_above_tiles(
    browser: webdriver.Chrome, page: Any, url: str, service: Any, files: list[str]
) -> None:
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys(files[0])
    page.shown("[data-result]")
    assert not browser.find_element(By.CSS_SELECTOR, ".job-always").is_displayed()
    service.models = [service.models[0].model_copy(update={"says_none": False, "version": "v2", "model": "colours:v2"})]
    page.until(lambda b: b.get(url + "/classifiers/colours") or ALWAYS_ANSWERS in b.page_source)
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys(files[0])
    page.shown(".job-always", ALWAYS_ANSWERS)
    browser.find_element(By.ID, "images").send_keys("\n".join(files))
    page.shown("#many-always", ALWAYS_ANSWERS)
    page.shown("#many-words", "All 13 are done")
    browser.get(page.shown("#many-page").get_attribute("href"))
    page.shown("#many-always", ALWAYS_ANSWERS)
