"""The review page in real Chromium: one window over many pictures, choosing by range and keyboard."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.settings import Settings
from webui.app import create_app

PICTURES = 900
pytestmark = pytest.mark.browser


@pytest.fixture
def dataset(settings: Settings, isolated_home: Any, make_photo: Callable[..., bytes]) -> Dataset:
    """900 cats and one dog, which all show the same picture under names of their own."""
    dataset = Dataset.create(settings.datasets / "pets", "pets", parse_class_names(["cat", "dog"]), [])
    data = make_photo(1, format="JPEG")
    picture = inspect(data)
    rows = []
    for number in range(PICTURES + 1):
        slug, digest = ("dog" if number == PICTURES else "cat"), f"{number:064x}"
        folder = dataset.root / "images" / slug
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{digest}.{picture.extension}").write_bytes(data)
        fresh = Attempt(f"u{number}", slug, Status.KEPT, Reason.OK, rank=number).with_picture(picture)
        rows.append(fresh.__class__(**vars(fresh) | {"sha256": digest}))
    dataset.manifest.add(rows)
    return dataset


@pytest.fixture
def app(serve: Callable[[Any], str], service: Any, settings: Settings, dataset: Dataset) -> Flask:
    return create_app(Settings(home=settings.home, service_url=serve(service.app())))


@pytest.fixture
def url(serve: Callable[[Any], str], app: Flask) -> str:
    return serve(app) + "/datasets/pets"


def says(page: Any, words: str) -> None:
    page.shown("#chosen", words)


def filled(page: Any, index: int) -> Any:
    return page.until(lambda b: b.find_elements(By.CSS_SELECTOR, f"[data-index='{index}'] img[src]"), f"tile {index}")[
        0
    ]


def test_only_a_window_of_thousands_is_in_the_page(url: str, browser: webdriver.Chrome, page: Any) -> None:
    browser.get(url)
    filled(page, 0)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".tile")) < 120
    browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    last = filled(page, PICTURES)
    assert "/dog/" in last.get_attribute("src")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".tile")) < 120
    assert page.fits()


@pytest.mark.parametrize("browser", ["phone"], indirect=True)
def test_pictures_that_cannot_be_loaded_are_asked_for_again(
    url: str, app: Flask, browser: webdriver.Chrome, page: Any, console: Any
) -> None:
    console.expect("503")
    refusals = [({"error": {"code": "overloaded", "message": "busy"}}, 503)]
    answer = app.view_functions["review.pictures"]
    app.view_functions["review.pictures"] = lambda **names: refusals.pop() if refusals else answer(**names)
    browser.get(url)
    says(page, "Some pictures cannot be loaded now; this is tried again.")
    filled(page, 0)
    page.until(lambda b: b.find_element(By.ID, "chosen").text == f"{PICTURES + 1} pictures")


@pytest.mark.parametrize("browser", ["desktop"], indirect=True)
def test_pictures_that_are_refused_are_asked_for_once_and_none_is_chosen_without_them(
    url: str, app: Flask, browser: webdriver.Chrome, page: Any, console: Any
) -> None:
    console.expect("409")
    asked, answer = [], app.view_functions["review.pictures"]

    def second_is_damaged(**names: str) -> Any:
        asked.append(request.args["offset"])
        return ({"error": {"code": "unreadable", "message": "Damaged"}}, 409) if asked[-1] == "200" else answer(**names)

    app.view_functions["review.pictures"] = second_is_damaged
    browser.get(url)
    filled(page, 0)
    browser.execute_script("window.setTimeout = (run) => queueMicrotask(run)")  # who asks again does so at once
    ActionChains(browser).send_keys("a").perform()
    page.until(lambda _: len(set(asked)) == 5)
    page.until(lambda b: b.find_element(By.ID, "chosen").text == f"{PICTURES + 1} pictures. Damaged")
    assert sorted(asked) == ["0", "200", "400", "600", "800"]
    assert browser.find_elements(By.CSS_SELECTOR, ".tile input:checked") == []


def test_a_range_is_chosen_with_the_keyboard_and_removed_and_put_back(
    url: str, browser: webdriver.Chrome, page: Any, dataset: Dataset
) -> None:
    browser.get(url)
    filled(page, 2)
    browser.find_element(By.CSS_SELECTOR, "[data-index='0'] input").send_keys(Keys.SPACE)
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).key_up(
        Keys.SHIFT
    ).perform()
    says(page, "3 chosen")
    ActionChains(browser).send_keys("x").perform()
    says(page, "3 pictures marked")
    assert browser.find_element(By.ID, "staged").text == "3"
    assert "will be removed" in browser.find_element(By.CSS_SELECTOR, "[data-index='2']").text
    browser.refresh()
    page.press("Apply")
    page.until(lambda driver: "Carried out for 3 pictures" in driver.page_source)
    assert len(dataset.manifest.kept()) == PICTURES - 2
    page.shown("button[formaction$='/undo'], form[action$='/undo'] button").click()
    page.until(lambda driver: "Taken back for 3 pictures" in driver.page_source)
    assert len(dataset.manifest.kept()) == PICTURES + 1


def test_all_can_be_chosen_and_keys_can_be_turned_off(url: str, browser: webdriver.Chrome, page: Any) -> None:
    browser.get(url)
    filled(page, 0)
    ActionChains(browser).send_keys("a").perform()
    says(page, f"{PICTURES + 1} chosen")
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    says(page, f"{PICTURES + 1} pictures")
    browser.find_element(By.ID, "keys").click()
    ActionChains(browser).send_keys("a").perform()
    says(page, f"{PICTURES + 1} pictures")
    first = browser.find_element(By.CSS_SELECTOR, "[data-index='0'] input")
    first.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("href").endswith(f"/{0:064x}")
    ActionChains(browser).send_keys(Keys.TAB, Keys.SPACE).perform()  # every picture is reached without keys of ours
    says(page, "1 chosen")
    assert browser.find_element(By.CSS_SELECTOR, "[data-index='1'] input").is_selected()
    browser.find_element(By.ID, "keys").click()


def test_pictures_move_to_another_class_with_the_mouse(
    url: str, browser: webdriver.Chrome, page: Any, dataset: Dataset
) -> None:
    browser.get(url + "?order=class")
    filled(page, 0)
    browser.find_element(By.CSS_SELECTOR, "[data-index='0'] label").click()
    says(page, "1 chosen")
    browser.find_element(By.CSS_SELECTOR, "button[value='move']").click()
    says(page, "Choose first where to move them.")
    browser.find_element(By.CSS_SELECTOR, "#to option[value='dog']").click()
    browser.find_element(By.CSS_SELECTOR, "button[value='move']").click()
    says(page, "1 picture marked")
    page.press("Apply")
    page.until(lambda driver: "Carried out for 1 picture" in driver.page_source)
    assert len(dataset.manifest.kept("dog")) == 2


def test_the_tab_one_is_on_can_be_seen_also_where_they_do_not_fit(
    url: str, browser: webdriver.Chrome, page: Any
) -> None:
    browser.get(url + "?show=out")
    page.until(
        lambda driver: driver.execute_script(
            "return document.querySelector('.tab[aria-current]').getBoundingClientRect().right <= innerWidth"
        )
    )


def test_it_works_without_javascript(url: str, browser: webdriver.Chrome, page: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(url)
    browser.find_element(By.CSS_SELECTOR, ".tile input").click()
    browser.find_element(By.CSS_SELECTOR, "button[value='remove']").click()
    page.until(lambda driver: driver.find_element(By.ID, "staged").text == "1")
    browser.find_element(By.LINK_TEXT, "More").send_keys(Keys.ENTER)
    page.until(lambda driver: "offset=60" in driver.current_url)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".tile")) == 60
    assert page.fits()


def test_an_audit_is_answered_with_two_keys(url: str, browser: webdriver.Chrome, page: Any) -> None:
    browser.get(url + "/audit")
    for number, key in enumerate("yn", start=1):
        ActionChains(browser).send_keys(key).perform()
        page.until(lambda d, n=number: f"{n} of 20" in d.find_element(By.CSS_SELECTOR, "[aria-current=true]").text)
    assert page.fits()
