"""Asking for a classifier in real Chromium, where its pictures or its name need a word first; forgetting a job."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tellapart.settings import Settings
from webui.jobs import Job, Jobs, Kind, State, utc_now

OPTIONS = {"classes": ["cat", "dog"], "sources": ["openverse"], "license": "any", "per_class": 20}
pytestmark = pytest.mark.browser


@pytest.fixture
def url(serve: Callable[[Any], str], app: Flask) -> str:
    return serve(app)


def ask_for(browser: webdriver.Chrome, page: Any, url: str, classes: str) -> None:
    browser.get(url)
    browser.find_element(By.ID, "classes").send_keys(classes)
    page.press("Start right away")


def test_the_same_classes_again_join_their_data_set_or_get_another(
    browser: webdriver.Chrome,
    page: Any,
    url: str,
    settings: Settings,
    jobs: Jobs,
    fill: Callable[..., Any],
    console: Any,
) -> None:
    console.expect("/events")  # more pages of jobs one after the other than there may be streams
    fill(settings.datasets / "cat-dog", {"cat": 2, "dog": 1})
    ask_for(browser, page, url, "cat, dog")
    page.shown("[role=alert]", "There are 3 pictures of these classes in 'cat-dog' already.")
    name = page.shown("#name")
    assert name.get_attribute("value") == "cat-dog"
    assert page.fits()
    assert jobs.list() == []
    page.press("Start right away")
    page.shown("h1", "cat-dog")
    ask_for(browser, page, url, "cat, dog")
    page.shown("#name").clear()
    page.shown("#name").send_keys("cat-dog-2")
    page.press("Start right away")
    page.shown("h1", "cat-dog-2")
    ask_for(browser, page, url, "cat, dog")
    page.shown("[role=alert]", "There are 3 pictures")
    page.press("Start right away")
    page.shown("[role=status]", "This is being made already; here it is.")
    assert sorted(job.name for job in jobs.list()) == ["cat-dog", "cat-dog-2"]


def test_a_class_becomes_a_chip_after_something_was_dragged(browser: webdriver.Chrome, page: Any, url: str) -> None:
    browser.get(url)
    field = page.shown("#classes")
    for kind in ("mousedown", "dragend"):  # no mouseup comes where something is dragged
        browser.execute_script(
            "document.querySelector('.brand').dispatchEvent(new MouseEvent(arguments[0], { bubbles: true }))", kind
        )
    field.send_keys("cat", Keys.TAB)
    page.shown("#chosen", "cat")


def test_classes_in_other_letters_are_given_a_name(browser: webdriver.Chrome, page: Any, url: str) -> None:
    ask_for(browser, page, url, "猫, 狗")
    page.shown("[role=alert]", "Write one under Name of the classifier")
    assert page.fits()
    page.shown("#name").send_keys("pets")
    page.press("Start right away")
    page.shown("h1", "pets")
    assert [e.text for e in browser.find_elements(By.CSS_SELECTOR, ".class-head strong")] == ["猫", "狗"]


def test_a_job_that_has_ended_is_forgotten(
    browser: webdriver.Chrome, page: Any, url: str, jobs: Jobs, change: Callable[..., Job], console: Any
) -> None:
    console.expect("404")
    job = jobs.enqueue(Kind.CREATE, "cat-dog", OPTIONS)
    change(job, state=State.FAILED, error="no pictures were found", finished=utc_now())
    browser.get(f"{url}/jobs/{job.id}")
    page.press("Forget this job")
    page.shown("[role=status]", "The job for cat-dog is forgotten. Its pictures are kept.")
    assert browser.find_elements(By.CSS_SELECTOR, ".job-row") == []
    browser.get(f"{url}/jobs/{job.id}")
    page.shown("h1", "Nothing here")
