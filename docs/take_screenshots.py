"""Takes the README's screenshot from a running web page.

python docs/take_screenshots.py http://127.0.0.1:5000 PICTURE
"""

import os
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).resolve().parent


def main(address: str, picture: Path) -> None:
    """Classify a picture as a person would and keep the result page as docs/screenshot.png."""
    with tempfile.TemporaryDirectory() as profile:
        driver = webdriver.Chrome(_options(profile), Service("/usr/bin/chromedriver"))
        try:
            driver.get(f"{address}/classify")
            driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(picture.absolute()))
            result = WebDriverWait(driver, 60).until(lambda d: d.find_elements(By.CSS_SELECTOR, "[data-result]"))
            driver.get(address + str(result[0].get_attribute("data-result")))
            driver.save_screenshot(str(HERE / "screenshot.png"))
        finally:
            driver.quit()


def _options(profile: str) -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    flags = ["--headless=new", "--no-first-run", "--disable-background-networking", "--hide-scrollbars"]
    for flag in (*flags, *sandbox, "--window-size=1200,860", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return options


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
