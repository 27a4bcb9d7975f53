"""Classifying, understanding, sharing and judging a result in real Chromium, as a phone and as a desktop."""

import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tellapart.addresses import Network
from tellapart.settings import Settings
from tellapart.wire import NeighbourPicture
from webui.app import create_app

MakePicture = Callable[..., bytes]
pytestmark = pytest.mark.browser
HERE = Network(admits=lambda address, _: address == ip_address("127.0.0.1"))
GAP = """const [above, below] = [...arguments].map((part) => document.querySelector(part).getBoundingClientRect());
return below.top - above.bottom"""


@pytest.fixture
def app(serve: Callable[[Any], str], service: Any, settings: Settings) -> Flask:
    return create_app(Settings(home=settings.home, service_url=serve(service.app())))


@pytest.fixture
def url(serve: Callable[[Any], str], app: Flask) -> str:
    return serve(app)


@pytest.fixture
def photos(tmp_path: Path, make_picture: MakePicture) -> Path:
    """A folder of 40 pictures of two classes, and two files that are none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i in range(40):
        data = make_picture((200 + i, 0, 0) if i % 4 else (0, 0, 200 + i))
        (folder / ("more" if i % 2 else "") / f"{i:02d}.png").write_bytes(data)
    (folder / "notes.txt").write_text("no picture")
    (folder / "._00.png").write_bytes(b"\0\5\x16\7")  # as macOS puts beside pictures
    return folder


@pytest.fixture
def archive(tmp_path: Path, photos: Path) -> Path:
    path = tmp_path / "holiday.zip"
    with zipfile.ZipFile(path, "w") as file:
        for photo in sorted(photos.rglob("*.*")):
            file.write(photo, photo.relative_to(photos).with_suffix(".png"))  # or it would be left out
    return path


def words_at_the_end(page: Any) -> str:
    return str(page.until(lambda d: (t := d.find_element(By.ID, "many-words").text).startswith("All") and t))


def result_of(browser: webdriver.Chrome, page: Any, url: str, tmp_path: Path, data: bytes) -> None:
    """Classify a picture and open its result."""
    (tmp_path / "cat.png").write_bytes(data)
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys(str(tmp_path / "cat.png"))
    page.shown("[data-result] a").click()
    page.until(lambda d: d.title.startswith("red"))


def why_not(browser: webdriver.Chrome) -> str:
    """What the tile of a picture says that could not be classified, on the screen or not."""
    return str(browser.find_element(By.CSS_SELECTOR, ".failed .tile-top").get_property("textContent"))


def test_a_folder_becomes_tiles_and_a_table(
    browser: webdriver.Chrome, page: Any, url: str, photos: Path, service: Any
) -> None:
    browser.get(url + "/classify")
    browser.find_element(By.ID, "folder").send_keys(str(photos))
    assert words_at_the_end(page) == "All 40 are done."  # the others are passed over
    assert service.asked("/classify_batch") == 2  # a part each
    assert {e.text for e in browser.find_elements(By.CSS_SELECTOR, "#many-counts li")} == {"red 30", "blue 10"}
    assert page.fits()
    page.shown("#many-page").click()
    page.until(lambda d: d.title.startswith("photos"))
    tiles = browser.find_elements(By.CSS_SELECTOR, ".tile")
    assert len(tiles) == 40
    assert page.fits()
    tiles[0].find_element(By.TAG_NAME, "a").click()
    page.until(lambda d: d.title.startswith("blue"))


def test_an_archive_streams_in(browser: webdriver.Chrome, page: Any, url: str, archive: Path) -> None:
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys(str(archive))
    page.until(lambda d: d.title.startswith("holiday.zip"))
    assert words_at_the_end(page) == "All 41 are done. 1 could not be classified: 1 × the file is not a picture."
    tops = [e.text for e in browser.find_elements(By.CSS_SELECTOR, ".tile .tile-name")]
    assert len(tops) == 41
    shown = [
        e.find_element(By.CLASS_NAME, "thumb").is_displayed() for e in browser.find_elements(By.CLASS_NAME, "tile")
    ]
    assert shown.count(False) == 1  # nothing stands where a picture would
    assert why_not(browser).startswith("The file is not a picture.")
    assert page.fits()


def test_an_archive_is_turned_over_without_javascript(
    browser: webdriver.Chrome, page: Any, url: str, archive: Path
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(url + "/classify")
    browser.find_element(By.ID, "images").send_keys(str(archive))
    browser.find_element(By.CSS_SELECTOR, "#upload > button").click()
    page.until(lambda d: d.title.startswith("holiday.zip"))
    assert len(browser.find_elements(By.CSS_SELECTOR, ".tile")) == 32
    page.shown(".without-js a").click()
    page.until(lambda d: len(d.find_elements(By.CSS_SELECTOR, ".tile")) == 9)
    assert why_not(browser).startswith("The file is not a picture.")


def test_many_pictures_wait_while_the_service_is_away(
    browser: webdriver.Chrome, page: Any, url: str, photos: Path, service: Any, console: Any
) -> None:
    console.expect("503")
    refusals = [1]
    service.broken = lambda: Response(status=503, headers={"Retry-After": "1"}) if refusals and refusals.pop() else None
    browser.get(url + "/api")  # takes the refusal that a page would show
    page.until(lambda _: not refusals)
    page.until(lambda b: b.get(url + "/classify") or b.find_elements(By.ID, "folder"))  # which is known for a moment
    refusals.append(1)
    browser.find_element(By.ID, "folder").send_keys(str(photos))
    assert words_at_the_end(page) == "All 40 are done."


def test_a_picture_is_taken(browser: webdriver.Chrome, page: Any, url: str) -> None:
    browser.get(url + "/classify")
    page.shown("#take").click()
    page.until(lambda d: d.execute_script("return document.getElementById('viewfinder').videoWidth"))
    page.shown("#shutter").click()
    assert "camera.jpg" in page.shown("[data-result]").text
    assert not browser.find_element(By.ID, "camera").is_displayed()
    track = "document.getElementById('viewfinder').srcObject.getTracks()[0]"
    page.until(lambda d: d.execute_script(f"return {track}.readyState") == "ended")  # the camera is off again


def test_a_picture_is_fetched(
    browser: webdriver.Chrome,
    page: Any,
    url: str,
    app: Flask,
    serve: Callable[[Any], str],
    make_picture: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
    console: Any,
) -> None:
    console.expect("422")
    site = Flask("site")
    site.get("/lime.png")(lambda: Response(make_picture("lime"), mimetype="image/png"))
    monkeypatch.setattr(app.extensions["tellapart"].fetcher, "_network", HERE)
    browser.get(url + "/classify")
    page.shown("#url").send_keys(serve(site) + "/lime.png", Keys.ENTER)
    assert "green" in page.shown("[data-result]").text
    page.shown("#url").send_keys("http://10.0.0.1/a.png", Keys.ENTER)
    assert "10.0.0.1 is not at a public address" in page.shown(".job-error").text


def test_a_result_shows_what_it_rests_on(
    browser: webdriver.Chrome, page: Any, url: str, tmp_path: Path, make_picture: MakePicture, service: Any
) -> None:
    service.neighbours = [NeighbourPicture(sha256="0" * 64, class_name="<i>red", similarity=0.8)]
    result_of(browser, page, url, tmp_path, make_picture("red"))
    assert service.asked("/explain") == 0  # nothing is asked before it is wanted
    for summary in browser.find_elements(By.CSS_SELECTOR, "details[data-load] summary"):
        summary.click()
    assert "It looked at the middle" in page.shown("#why .loaded p").text
    heat = page.shown("#heat")
    page.until(lambda d: d.execute_script("return arguments[0].naturalWidth", heat) == 8)
    assert heat.value_of_css_property("opacity") == "0.8"
    slider = page.shown("#opacity")
    slider.send_keys(Keys.HOME)
    assert heat.value_of_css_property("opacity") == "0"
    slider.send_keys(Keys.ARROW_RIGHT)
    assert heat.value_of_css_property("opacity") == "0.01"
    picture = browser.find_element(By.CSS_SELECTOR, ".layers img")
    assert heat.rect == picture.rect
    assert "<i>red" in page.shown(".nearest").text
    browser.find_element(By.CSS_SELECTOR, "#why summary").click()
    page.until(lambda _: not heat.is_displayed())
    assert page.fits()


def test_a_result_is_shared_and_taken_back(
    browser: webdriver.Chrome, page: Any, url: str, tmp_path: Path, make_picture: MakePicture, console: Any
) -> None:
    console.expect("404")
    result_of(browser, page, url, tmp_path, make_picture("red"))
    result = browser.current_url
    Select(browser.find_element(By.ID, "days")).select_by_value("1")
    page.shown("#share form button").click()
    link = page.shown("#link").get_attribute("value")
    assert browser.execute_script(GAP, ".new-link", ".new-link + form") >= 8
    assert link.startswith(url + "/shared/")
    assert page.fits()
    browser.delete_all_cookies()
    browser.get(link)
    assert browser.find_element(By.TAG_NAME, "h1").text == "red"
    assert browser.find_elements(By.TAG_NAME, "nav") == []
    shown = browser.find_element(By.CSS_SELECTOR, ".picture img")
    page.until(lambda d: d.execute_script("return arguments[0].naturalWidth", shown) == 64)
    assert page.fits()
    browser.get(result)
    page.shown(".links button").click()
    page.until(lambda d: not d.find_elements(By.CSS_SELECTOR, ".links"))
    browser.get(link)
    assert "Nothing here" in browser.title


def test_a_link_that_has_expired_opens_nothing(
    browser: webdriver.Chrome,
    page: Any,
    url: str,
    app: Flask,
    tmp_path: Path,
    make_picture: MakePicture,
    console: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console.expect("404")
    result_of(browser, page, url, tmp_path, make_picture("red"))
    Select(browser.find_element(By.ID, "days")).select_by_value("1")
    page.press("Make a link")
    link = page.shown("#link").get_attribute("value")
    browser.get(link)
    page.shown("h1", "red")
    tomorrow = datetime.now(UTC) + timedelta(days=1, seconds=1)
    monkeypatch.setattr(app.extensions["tellapart"].shares, "_clock", lambda: tomorrow)
    browser.refresh()
    page.shown("h1", "Nothing here")


def test_a_wrong_answer_is_told(
    browser: webdriver.Chrome, page: Any, url: str, app: Flask, tmp_path: Path, make_picture: MakePicture
) -> None:
    result_of(browser, page, url, tmp_path, make_picture("red"))
    browser.find_element(By.CSS_SELECTOR, "#feedback summary").click()
    Select(page.shown("#class")).select_by_visible_text("blue")
    page.shown("#keep").click()
    page.shown("#feedback .btn-primary").click()
    page.until(lambda d: "Thank you" in d.find_element(By.ID, "feedback").text)
    (said,) = app.extensions["tellapart"].feedback.wrong("colours")
    assert (said.right_class, said.kept) == ("blue", True)
    browser.get(url + "/classifiers/colours")
    page.shown("a[href$='/wrong']").click()
    picture = page.shown(".told img")
    page.until(lambda d: d.execute_script("return arguments[0].naturalWidth", picture) == 64)
    assert page.fits()


def test_code_is_copied(browser: webdriver.Chrome, page: Any, url: str) -> None:
    browser.execute_cdp_cmd(
        "Browser.grantPermissions", {"origin": url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    browser.get(url + "/api")
    page.shown("[data-copy='source-curl']").click()
    page.until(lambda d: d.find_element(By.CSS_SELECTOR, "[data-copy='source-curl']").text == "Copied")
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == browser.find_element(By.ID, "source-curl").text
    assert page.fits()


def test_an_archive_beside_pictures_leads_to_its_page_and_leaves_none_behind(
    browser: webdriver.Chrome, page: Any, url: str, archive: Path, photos: Path
) -> None:
    browser.get(url + "/classify")
    single = sorted(photos.glob("[0-9]*.png"))[:2]
    browser.find_element(By.ID, "images").send_keys("\n".join(str(path) for path in (archive, *single)))
    link = page.shown(".job-more a", "Open its pictures")
    page.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, "[data-result]")) == 2)
    assert page.fits()
    browser.get(link.get_attribute("href"))
    page.until(lambda b: b.title.startswith("holiday.zip"))


def test_a_second_folder_takes_the_tiles_and_the_first_goes_on(
    browser: webdriver.Chrome, page: Any, url: str, photos: Path
) -> None:
    browser.get(url + "/classify")
    several = sorted(str(path) for path in photos.glob("*.png"))
    browser.find_element(By.ID, "folder").send_keys(str(photos))
    page.shown("#many-title", "40 pictures")  # the browser lists a folder in its own time
    browser.find_element(By.ID, "images").send_keys("\n".join(several))  # 20 of them
    page.shown("#many-words", "All 20 are done")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#tiles .tile")) == 20
    first = page.shown(".job-more a", "Open its pictures").get_attribute("href")
    table = "fetch(arguments[0] + '/csv').then((answer) => answer.text()).then(arguments[1])"
    page.until(lambda b: b.execute_async_script(table, first).count("\n") == 41, "a line for each of 40 pictures")


def test_a_camera_that_comes_after_its_window_was_closed_is_off(browser: webdriver.Chrome, page: Any, url: str) -> None:
    browser.get(url + "/classify")
    browser.execute_script(
        "const media = navigator.mediaDevices, ask = media.getUserMedia.bind(media);"
        "media.getUserMedia = async (wanted) => {"
        "  await new Promise((go) => { window.allow = go; }); return window.stream = await ask(wanted); };"
    )
    page.shown("#take").click()
    page.until(lambda b: b.execute_script("return Boolean(window.allow)"))
    page.shown("#camera-close").click()
    browser.execute_script("window.allow()")
    page.until(lambda b: b.execute_script("return window.stream?.getTracks()[0].readyState") == "ended")
