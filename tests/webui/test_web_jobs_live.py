"""The page of a job in Chromium: live over a stream, by asking again and again, and without JavaScript."""

from collections.abc import Callable, Iterator
from threading import BoundedSemaphore
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tellapart.settings import Settings
from webui import events
from webui.app import create_app
from webui.database import Database
from webui.jobs import Job, Jobs, Kind, State, utc_now

pytestmark = pytest.mark.browser
on_a_phone = pytest.mark.parametrize("browser", ["phone"], indirect=True)
NASTY = ["<img src=x onerror=alert(1)>", "ребёнок", "a" * 78, "{{ 7 * 7 }}"]
OPTIONS = {"classes": ["cat", *NASTY], "sources": ["openverse"], "license": "any", "per_class": 20}
RESULT = {"tag": "pets:v1", "accuracy": 0.93, "accuracy_low": 0.9, "accuracy_high": 0.95, "n": 40}


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings)
    yield database
    database.close()


@pytest.fixture
def job(database: Database) -> Job:
    return Jobs(database, lambda: None).enqueue(Kind.CREATE, "pets", OPTIONS)


@pytest.fixture
def url(serve: Callable[[Any], str], settings: Settings, service_client: Any) -> str:
    return serve(create_app(settings, client=service_client))


@pytest.fixture
def no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """All streams are taken by others."""
    monkeypatch.setattr(events, "_room", BoundedSemaphore(1))
    assert events.open_stream(lambda: None, "")


def change(database: Database, job: Job, **values: Any) -> None:
    with database.writing() as session:
        session.get_one(Job, job.id).change(**values)


def collecting(done: int) -> list[dict[str, Any]]:
    return [
        {
            "stage": "collect cat", "done": done, "total": 20, "unit": "pictures", "seconds": 2.0,
            "counts": {"kept": done}, "note": "", "finished": False, "points": [],
        }
    ]  # fmt: skip


def follow(browser: webdriver.Chrome, page: Any, database: Database, job: Job, url: str) -> None:
    """Open the page and let the job go on to its end."""
    browser.get(f"{url}/jobs/{job.id}")
    page.shown(".state", "Waiting")
    change(database, job, state=State.RUNNING, stages=collecting(3))
    page.shown(".phase-now", "3 of up to 100 pictures")
    page.until(lambda b: b.title.startswith("pets: Working"))
    change(database, job, stages=collecting(9))
    page.shown(".class-row", "9 of up to 20")
    assert page.fits()
    change(database, job, state=State.DONE, result=RESULT, finished=utc_now())
    page.shown(".state", "Done")
    page.shown("#part-state", "93.0\xa0%")


def test_the_page_follows_a_stream(
    browser: webdriver.Chrome, page: Any, database: Database, job: Job, url: str
) -> None:
    follow(browser, page, database, job, url)
    page.until(lambda b: b.title.startswith("pets: Done"))
    assert browser.find_element(By.ID, "said").get_attribute("textContent") == "Done"
    names = [e.text for e in browser.find_elements(By.CSS_SELECTOR, ".class-head strong")]
    assert names == OPTIONS["classes"]


@on_a_phone
def test_the_focus_stays_while_the_page_changes(
    browser: webdriver.Chrome, page: Any, database: Database, job: Job, url: str
) -> None:
    change(database, job, state=State.RUNNING, stages=collecting(1))
    browser.get(f"{url}/jobs/{job.id}")
    button = browser.find_element(By.XPATH, "//button[text()='Stop']")
    browser.execute_script("arguments[0].focus()", button)
    change(database, job, stages=collecting(5))
    page.shown(".class-row", "5 of up to 20")
    assert browser.switch_to.active_element == button
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    page.shown(".state", "Stopping")


def test_without_a_stream_it_asks_again_and_again(
    chromium: webdriver.Chrome, page: Any, database: Database, job: Job, url: str, no_streams: None, console: Any
) -> None:
    console.expect("503")
    follow(chromium, page, database, job, url)
    assert len(console.said()) == 1


@on_a_phone
def test_without_javascript_it_reloads_itself(
    browser: webdriver.Chrome, page: Any, database: Database, job: Job, url: str
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    follow(browser, page, database, job, url)


@on_a_phone
def test_the_form_works_without_javascript(browser: webdriver.Chrome, page: Any, url: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(url)
    field = browser.find_element(By.ID, "classes")
    field.send_keys("cat")
    page.press("Look at samples first")
    page.shown("[role=alert]", "1 class name given")
    browser.find_element(By.ID, "classes").send_keys(", dog")
    page.press("Look at samples first")
    page.shown("h1", "Is this what you mean?")
    page.press("Change it")
    page.shown("label", "What do you want to tell apart?")
    assert browser.find_element(By.ID, "classes").get_attribute("value") == "cat, dog"
    page.press("Start right away")
    page.shown("h1", "cat-dog")


def test_chips_come_and_go_by_the_keyboard(browser: webdriver.Chrome, page: Any, url: str) -> None:
    def chips() -> list[str]:
        return [e.get_attribute("value") or "" for e in browser.find_elements(By.CSS_SELECTOR, "#chosen input")]

    browser.get(url)
    browser.find_element(By.ID, "classes").send_keys("cat, dog,CAT,", NASTY[0], Keys.ENTER)
    assert chips() == ["cat", "dog", NASTY[0]]
    browser.switch_to.active_element.send_keys(Keys.BACKSPACE)
    assert chips() == ["cat", "dog"]
    remove = browser.find_element(By.CSS_SELECTOR, "#chosen button")
    assert remove.accessible_name == "Remove cat"
    remove.send_keys(Keys.ENTER)
    assert chips() == ["dog"]
    assert browser.switch_to.active_element.get_attribute("id") == "classes"
    browser.switch_to.active_element.send_keys("bird")
    assert page.fits()
    page.press("Start right away")
    page.shown("h1", "dog-bird")


def test_what_is_typed_last_goes_along_with_the_button_that_is_pressed_at_once(
    browser: webdriver.Chrome, page: Any, url: str
) -> None:
    browser.get(url)
    browser.find_element(By.ID, "classes").send_keys("cat, dog")
    source, button = (browser.find_element(By.CSS_SELECTOR, f) for f in ("#source-wikimedia", "button[value=start]"))
    ActionChains(browser).click(source).perform()  # the chips come now, and it stays pressed
    assert source.is_selected()
    browser.find_element(By.ID, "classes").send_keys("bird")
    ActionChains(browser).click_and_hold(button).perform()
    assert len(browser.find_elements(By.CSS_SELECTOR, "#chosen li")) == 2  # nothing moves under the pointer
    ActionChains(browser).release().perform()
    page.shown("h1", "cat-dog-bird")
