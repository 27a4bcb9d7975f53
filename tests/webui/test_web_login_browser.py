"""Logging in and out in real Chromium, and what pages do whose session ended while they were open."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
from flask import Flask
from selenium import webdriver
from selenium.webdriver.common.by import By

from tellapart.settings import Settings
from webui import events
from webui.app import create_app
from webui.jobs import Job, Kind

pytestmark = pytest.mark.browser
PASSWORD = "a long enough one"
OPTIONS = {"classes": ["cat", "dog"], "sources": ["openverse"], "license": "any", "per_class": 20}


@pytest.fixture
def app(serve: Callable[[Any], str], service: Any, settings: Settings) -> Flask:
    app = create_app(Settings(home=settings.home, service_url=serve(service.app())))
    app.extensions["tellapart"].users.add("ann", PASSWORD)
    return app


@pytest.fixture
def url(serve: Callable[[Any], str], app: Flask) -> str:
    return serve(app)


@pytest.fixture
def job(app: Flask) -> Job:
    made: Job = app.extensions["tellapart"].jobs.enqueue(Kind.CREATE, "pets", OPTIONS, owner="ann")
    return made


def log_in(browser: webdriver.Chrome, page: Any, password: str = PASSWORD) -> None:
    page.shown("#name").clear()
    browser.find_element(By.ID, "name").send_keys("ann")
    browser.find_element(By.ID, "password").send_keys(password)
    page.press("Log in")


def test_logging_in_leads_to_what_was_asked_for_and_out_again(
    browser: webdriver.Chrome, page: Any, url: str, console: Any
) -> None:
    console.expect("401")
    browser.get(url + "/api")
    log_in(browser, page, "not the password")
    assert "do not belong together" in page.shown("[role=alert]").text
    assert page.fits()
    log_in(browser, page)
    page.until(lambda b: b.current_url == url + "/api")
    assert page.fits()
    page.shown("button.leave").click()
    page.shown("h1", "Log in")
    browser.get(url + "/api")
    page.shown("h1", "Log in")


def test_a_new_password_ends_what_was_open_and_is_asked_for(
    browser: webdriver.Chrome, page: Any, url: str, app: Flask, console: Any
) -> None:
    console.expect("401")
    browser.get(url + "/api")
    log_in(browser, page)
    page.shown("h1", "Ask from a program")
    app.extensions["tellapart"].users.add("ann", "quite another one")  # as `tellapart users add ann` does
    page.press("Classify")
    log_in(browser, page)
    page.shown("[role=alert]", "do not belong together")
    log_in(browser, page, "quite another one")
    page.shown("h1", "Classify a picture")


def test_one_changes_ones_own_password(
    browser: webdriver.Chrome, page: Any, url: str, app: Flask, console: Any, axe: Callable[..., list[str]]
) -> None:
    def change(old: str) -> None:
        page.shown("#old").clear()
        for field, text in (("old", old), ("new", "quite another one"), ("again", "quite another one")):
            browser.find_element(By.ID, field).send_keys(text)
        page.press("Change it")

    console.expect("401")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(url + "/password")
    log_in(browser, page)
    page.shown("h1", "Change your password")
    assert page.fits()
    assert axe(browser) == []
    change("not the password")
    page.shown("[role=alert]", "The old password is not right")
    change(PASSWORD)
    page.shown(".note", "Your password is changed.")
    assert app.extensions["tellapart"].users.log_in("ann", "quite another one")
    page.press("Password")
    page.shown("h1", "Change your password")


def test_a_page_that_nobody_can_log_in_to_says_how_to_change_that(
    browser: webdriver.Chrome, page: Any, serve: Callable[[Any], str], settings: Settings, service_client: Any
) -> None:
    app = create_app(replace(settings, host="0.0.0.0"), client=service_client)
    browser.get(serve(app))
    page.shown(".note", "tellapart users add NAME")
    assert page.fits()
    app.extensions["tellapart"].users.add("ann", PASSWORD)
    app.extensions["tellapart"].users._seen = None
    log_in(browser, page)
    page.shown("h1", "Tell pictures apart.")


def test_a_result_whose_session_ended_asks_to_log_in_and_comes_back(
    chromium: webdriver.Chrome,
    page: Any,
    url: str,
    tmp_path: Path,
    make_picture: Callable[..., bytes],
    console: Any,
) -> None:
    console.expect("401")
    (tmp_path / "cat.png").write_bytes(make_picture("red"))
    chromium.get(url + "/classify")
    log_in(chromium, page)
    page.shown("#take")
    chromium.find_element(By.ID, "images").send_keys(str(tmp_path / "cat.png"))
    page.shown("[data-result] a").click()
    page.until(lambda b: b.title.startswith("red"))
    result = chromium.current_url
    chromium.delete_all_cookies()  # as a session that ends does
    page.shown("#why summary").click()
    page.shown("h1", "Log in")
    log_in(chromium, page)
    page.until(lambda b: b.current_url == result)


def test_a_job_whose_session_ended_asks_to_log_in_and_comes_back(
    chromium: webdriver.Chrome,
    page: Any,
    url: str,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    console: Any,
) -> None:
    console.expect("401", "503")
    monkeypatch.setattr(events, "_room", BoundedSemaphore(1))
    assert events.open_stream(lambda: None, "")  # the page has to ask again and again
    chromium.get(f"{url}/jobs/{job.id}")
    log_in(chromium, page)
    page.shown(".state", "Waiting")

    def asks_to_log_in(browser: webdriver.Chrome) -> bool:
        if browser.find_element(By.TAG_NAME, "h1").text == "Log in":
            return True
        browser.delete_all_cookies()  # again and again: an answer that was on its way brings the session back
        return False

    page.until(asks_to_log_in, "the form to log in")
    chromium.refresh()  # for a token of its own, where its cookie went too
    log_in(chromium, page)
    page.shown(".state", "Waiting")
