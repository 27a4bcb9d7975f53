"""The page of a result in real Chromium: what stands beside what, with everything opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tellapart.settings import Settings
from webui.app import create_app

pytestmark = pytest.mark.browser
BOXES = """
return Object.fromEntries([".picture", ".said", "#why", "#share", "#feedback"].map((s) => {
  const { left, top, bottom } = document.querySelector(s).getBoundingClientRect();
  return [s, { left, top, bottom }];
}));
"""


def test_the_columns_are_about_as_long_and_a_phone_shows_the_answer_first(
    browser: webdriver.Chrome,
    page: Any,
    serve: Callable[[Any], str],
    service: Any,
    tmp_path: Path,
    make_picture: Callable[..., bytes],
) -> None:
    (tmp_path / "a.png").write_bytes(make_picture("red"))
    url = serve(create_app(Settings(home=tmp_path / "home", service_url=serve(service.app()))))
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys(str(tmp_path / "a.png"))
    browser.get(url + page.shown("[data-result]").get_attribute("data-result"))
    for piece in browser.find_elements(By.CSS_SELECTOR, ".more > summary, .plain > summary, .verdict summary"):
        piece.click()
    page.shown(".slider")
    boxes = browser.execute_script(BOXES)
    if browser.execute_script("return innerWidth") < 500:
        assert sorted(boxes, key=lambda name: boxes[name]["top"]) == [
            ".picture",
            ".said",
            "#why",
            "#share",
            "#feedback",
        ]
        return
    left, right = boxes["#share"]["bottom"], boxes["#feedback"]["bottom"]
    top = boxes[".picture"]["top"]
    assert top == pytest.approx(boxes[".said"]["top"], abs=2)
    assert boxes[".picture"]["left"] == boxes["#why"]["left"] < boxes["#feedback"]["left"] == boxes[".said"]["left"]
    assert min(left, right) - top > 0.6 * (max(left, right) - top)
