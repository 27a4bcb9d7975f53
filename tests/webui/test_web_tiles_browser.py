"""Tiles of many pictures in real Chromium, where the browser shows a picture only when one scrolls there."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from tellapart.settings import Settings
from webui.app import create_app

pytestmark = pytest.mark.browser
SHOWN = """return [...document.querySelectorAll(".tile .thumb")].filter((t) => !t.hidden && t.naturalWidth).length"""


def test_tiles_of_files_no_browser_shows_have_the_pages_own_copy_at_the_very_end(
    browser: webdriver.Chrome, page: Any, serve: Callable[[Any], str], service: Any, tmp_path: Path
) -> None:
    (tmp_path / "scans").mkdir()
    for number in range(90):
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), (255, number, number)).save(buffer, "TIFF")
        (tmp_path / "scans" / f"{number}.tiff").write_bytes(buffer.getvalue())
    browser.get(serve(create_app(Settings(home=tmp_path / "home", service_url=serve(service.app())))) + "/classify")
    files = sorted(str(path) for path in (tmp_path / "scans").iterdir())
    browser.find_element(By.ID, "images").send_keys("\n".join(files))
    page.shown("#many-done", "All 90 are done.")

    def all_are_shown(browser: webdriver.Chrome) -> bool:
        """After another look at the whole page, from the top to the end."""
        for tile in browser.find_elements(By.CLASS_NAME, "tile")[::6]:
            browser.execute_script("arguments[0].scrollIntoView()", tile)
        return bool(browser.execute_script(SHOWN) == len(files))

    page.until(all_are_shown, "90 pictures")
