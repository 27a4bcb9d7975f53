"""What a page in Chromium shows, however often it changes meanwhile, and what the browser complains about."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException

_SHOWN = """return [...document.querySelectorAll(arguments[0])].find(
  (e) => e.checkVisibility({ visibilityProperty: true }) && e.innerText.includes(arguments[1])) ?? null"""
_NAMED = """return [...document.querySelectorAll("button, a")].find(
  (e) => e.checkVisibility({ visibilityProperty: true }) && e.innerText.trim() === arguments[0]) ?? null"""


class Console:
    """What the browser complains about during a test; the browser itself tells each complaint only once."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self._browser = browser
        self._said: list[str] = []
        self._expected = {"400 (BAD REQUEST)"}  # the answer to bad input

    def expect(self, *words: str) -> None:
        """Complaints with one of these words are part of the test."""
        self._expected.update(words)

    def said(self) -> list[str]:
        """All complaints so far, those that were expected too."""
        self._said += [entry["message"] for entry in self._browser.get_log("browser")]
        return self._said

    def unexpected(self) -> list[str]:
        """All others."""
        return [message for message in self.said() if not any(words in message for words in self._expected)]


class Page:
    """Waits for what a page is to show, however often the page exchanges its parts or is loaded anew meanwhile.

    A part that was found may be gone before it is read or pressed, which the browser says in many ways: all of them
    mean to look again. What is still wrong in the end is told.
    """

    def __init__(self, browser: webdriver.Chrome) -> None:
        self._browser = browser

    def until(self, true: Callable[[webdriver.Chrome], Any], what: str = "", seconds: float = 90) -> Any:
        """The first value that counts as true."""
        deadline, error = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                if value := true(self._browser):
                    return value
                error = None
            except WebDriverException as trouble:
                error = trouble
            time.sleep(0.05)
        pytest.fail(f"not within {seconds:.0f} s: {what or true}; {error or ''} the page says: {self._words()}")

    def shown(self, selector: str, text: str = "", seconds: float = 90) -> Any:
        """The first element that can be seen and has this text, as soon as there is one."""
        return self.until(lambda b: b.execute_script(_SHOWN, selector, text), f"{selector} with {text!r}", seconds)

    def press(self, words: str) -> None:
        """Press the button or link with these words."""
        tried = False

        def pressed(browser: webdriver.Chrome) -> bool:
            nonlocal tried
            button = browser.execute_script(_NAMED, words)
            if button is None:
                return tried  # what it leads to is there already
            tried = True
            button.click()
            return True

        self.until(pressed, f"a button {words!r}")

    def fits(self) -> bool:
        """Whether nothing is wider than the screen."""
        return bool(self._browser.execute_script("return document.documentElement.scrollWidth <= screen.width"))

    def _words(self) -> str:
        return str(self._browser.execute_script("return document.body.innerText"))[:2000]
