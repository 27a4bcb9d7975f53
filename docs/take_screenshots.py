"""Takes the documentation's screenshots from a running web page.

python docs/take_screenshots.py http://127.0.0.1:5000 NAME PICTURE

NAME is a classifier whose data set is on this machine, as `make run` leaves one called demo.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).resolve().parent
DESKTOP, PHONE = (1200, 860), (360, 780)


def main(address: str, name: str, picture: Path) -> None:
    """Go through the pages as a person would."""
    with browser(*DESKTOP) as driver:
        driver.get(address)
        driver.find_element(By.ID, "classes").send_keys("mammals, birds, fruit, flowers,")
        keep(driver, "create")
        driver.get(f"{address}/datasets/{name}")
        _until(driver, ".tile img[src]")
        _until_pictures_are_there(driver)
        keep(driver, "review")
        result = classify(driver, address, name, picture)
        driver.get(address + result)
        _until(driver, "#why summary").click()
        _until(driver, ".slider:not([hidden])")
        _until_pictures_are_there(driver)
        keep(driver, "result")
    with browser(*PHONE, dark=True) as driver:
        driver.get(address + result)
        _until_pictures_are_there(driver)
        keep(driver, "phone")


def classify(driver: webdriver.Chrome, address: str, name: str, picture: Path) -> str:
    """Upload a picture; gives the path of its result."""
    driver.get(f"{address}/classify?model={name}")
    driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(picture.absolute()))
    return str(_until(driver, "[data-result]").get_attribute("data-result"))


def keep(driver: webdriver.Chrome, name: str) -> None:
    """Write what is shown as a small file."""
    Image.open(io.BytesIO(driver.get_screenshot_as_png())).save(HERE / f"{name}.webp", quality=85, method=6)


@contextmanager
def browser(width: int, height: int, dark: bool = False) -> Iterator[webdriver.Chrome]:
    """Chromium with a screen of that size and a fresh profile."""
    with tempfile.TemporaryDirectory() as profile:
        driver = webdriver.Chrome(_options(profile), Service("/usr/bin/chromedriver"))
        try:
            screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            yield driver
        finally:
            driver.quit()


def _options(profile: str) -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    flags = ["--headless=new", "--no-first-run", "--disable-background-networking", "--hide-scrollbars"]
    for flag in (*flags, *sandbox, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return options


def _until(driver: webdriver.Chrome, selector: str) -> webdriver.remote.webelement.WebElement:
    return WebDriverWait(driver, 60).until(lambda d: d.find_elements(By.CSS_SELECTOR, selector))[0]


def _until_pictures_are_there(driver: webdriver.Chrome) -> None:
    script = "return [...document.images].every((i) => i.complete || i.getBoundingClientRect().top > innerHeight)"
    WebDriverWait(driver, 60).until(lambda d: d.execute_script(script))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
