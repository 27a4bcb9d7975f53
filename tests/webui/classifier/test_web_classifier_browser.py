"""The page of a classifier in real Chromium: versions, exports, what people called wrong, what it mixes up."""

import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from flask import Flask
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tellapart import store
from tellapart.dataset import Dataset
from tellapart.settings import Settings
from webui.app import create_app
from webui.exports import KINDS
from webui.streams import zip_response

pytestmark = pytest.mark.browser
EXPORT = "out.mkdir(); (out / 'model').write_text(' '.join(sys.argv[1:5]))"


@pytest.fixture
def app(serve: Callable[[Any], str], service: Any, settings: Settings) -> Flask:
    return create_app(replace(settings, service_url=serve(service.app())))


@pytest.fixture
def url(serve: Callable[[Any], str], app: Flask) -> str:
    return serve(app)


@pytest.fixture
def downloads(browser: webdriver.Chrome, tmp_path: Path) -> Callable[[], dict[str, str]]:
    """The exports that the browser has saved, with what they hold."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    behaviour = {"behavior": "allow", "downloadPath": str(folder)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)

    def read(path: Path) -> str:
        with zipfile.ZipFile(path) as archive:
            return archive.read("model").decode()

    return lambda: {path.name: read(path) for path in folder.glob("*.zip")}


def version(tag: str) -> str:
    return tag.partition(":")[2]


def versions(browser: webdriver.Chrome) -> list[str]:
    """The first line of each row of the table: the version, and whether it answers."""
    return [row.text.split("\n")[0] for row in browser.find_elements(By.CSS_SELECTOR, ".versions tbody th")]


def test_versions_are_changed_and_deleted_after_a_question(
    browser: webdriver.Chrome, page: Any, url: str, save: Callable[[], str]
) -> None:
    old, new = save(), save()
    browser.get(f"{url}/classifiers/colours")
    assert versions(browser) == [f"{version(new)} answers", version(old)]
    page.shown("a[href*='/promote']").click()
    assert page.fits()
    page.press("No, leave it")
    page.shown("a[href*='/promote']").click()
    page.press("Let it answer")
    page.shown("[role=status]", f"{old} answers now.")
    assert store.resolve("colours").tag == old
    page.press("Roll back")
    page.shown("h1", f"Go back to {new}?")
    page.press("Roll back")
    page.shown("[role=status]", f"{new} answers again.")
    assert versions(browser) == [f"{version(new)} answers", version(old)]
    page.shown("a[href*='/delete']").click()
    page.shown(".lead", "cannot be brought back")
    page.press("Delete it")
    page.shown("[role=status]", f"{old} is deleted.")
    assert versions(browser) == [f"{version(new)} answers"]
    page.shown("a[href*='/delete']").click()
    page.shown(".lead", "colours will be gone")
    assert page.fits()
    page.press("Delete it")
    page.shown("h2", "No classifier yet")
    assert store.list_models("colours") == []


def test_exports_are_made_one_after_the_other_and_saved(
    browser: webdriver.Chrome,
    page: Any,
    url: str,
    save: Callable[[], str],
    exporter: Callable[[str], None],
    downloads: Callable[[], dict[str, str]],
    tmp_path: Path,
) -> None:
    tag = save()
    go = tmp_path / "go"
    exporter(f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)\n{EXPORT}")
    browser.get(f"{url}/classifiers/colours")
    onnx, script, _ = browser.find_elements(By.CSS_SELECTOR, "form.slow button")
    onnx.click()
    page.shown(".export-state", "Being made…")
    script.click()
    page.shown(".export-state", "Waiting for the export before it…")
    assert page.fits()
    assert not onnx.is_enabled()
    go.touch()
    made = {f"colours-{version(tag)}-{kind}.zip": f"export {tag} --format {kind}" for kind in ("onnx", "torchscript")}
    page.until(lambda _: downloads() == made, "both exports")
    words = [e.text for e in browser.find_elements(By.CSS_SELECTOR, ".export-state")]
    assert words == ["Made; it is being downloaded."] * 2 + [""]
    assert onnx.is_enabled()


def test_exports_that_are_there_already_are_all_saved_when_pressed_at_once(
    browser: webdriver.Chrome,
    page: Any,
    app: Flask,
    url: str,
    save: Callable[[], str],
    exporter: Callable[[str], None],
    downloads: Callable[[], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tag, all_asked = save(), threading.Barrier(3)
    exporter(EXPORT)
    for kind in KINDS:
        app.extensions["tellapart"].exports.folder(tag, kind)

    def send(*args: Any) -> Any:
        all_asked.wait(60)  # so that no download begins before the others are asked for
        return zip_response(*args)

    monkeypatch.setattr("webui.classifiers.zip_response", send)
    browser.get(f"{url}/classifiers/colours")
    browser.execute_script("document.querySelectorAll('form.slow button').forEach((b) => b.click())")
    page.until(lambda _: len(downloads()) == len(KINDS), "all exports")


def test_an_export_waits_for_one_that_somebody_else_asked_for(
    browser: webdriver.Chrome,
    page: Any,
    app: Flask,
    url: str,
    save: Callable[[], str],
    exporter: Callable[[str], None],
    downloads: Callable[[], dict[str, str]],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("webui.exports.WAIT", 0.05)
    save()
    exporter(EXPORT)
    answers: list[int] = []
    monkeypatch.setattr(
        "webui.classifiers.make_response", lambda body, status: answers.append(status) or (body, status)
    )
    (settings.cache / "exports").mkdir(parents=True)
    browser.get(f"{url}/classifiers/colours")
    with FileLock(settings.cache / "exports" / "lock"):
        browser.find_element(By.CSS_SELECTOR, "form.slow button").click()
        page.until(lambda _: 202 in answers, "it is told to ask again")
        page.shown(".export-state", "Being made…")
    page.shown(".export-state", "Made; it is being downloaded.")
    page.until(lambda _: len(downloads()) == 1, "the export")


def test_an_export_that_fails_says_why_and_can_be_tried_again(
    browser: webdriver.Chrome,
    page: Any,
    url: str,
    save: Callable[[], str],
    exporter: Callable[[str], None],
    downloads: Callable[[], dict[str, str]],
    console: Any,
) -> None:
    console.expect("500")
    save()
    exporter("sys.exit('error: the weights are gone')")
    browser.get(f"{url}/classifiers/colours")
    button = browser.find_element(By.CSS_SELECTOR, "form.slow button")
    button.click()
    page.shown(".export-state.job-error", "The export failed: the weights are gone")
    assert page.fits()
    exporter(EXPORT)
    page.until(lambda _: button.is_enabled())
    button.click()
    page.until(lambda _: len(downloads()) == 1, "the export")
    assert browser.find_elements(By.CSS_SELECTOR, ".job-error") == []


def test_a_picture_called_wrong_joins_its_class(
    browser: webdriver.Chrome,
    page: Any,
    url: str,
    save: Callable[[], str],
    dataset: Dataset,
    make_photo: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    save()
    (tmp_path / "cat.png").write_bytes(make_photo(1))
    browser.get(f"{url}/classify")
    browser.find_element(By.ID, "images").send_keys(str(tmp_path / "cat.png"))
    page.shown("[data-result] a").click()
    page.shown("#feedback summary").click()
    Select(page.shown("#class")).select_by_visible_text("green (dark)")
    page.shown("#keep").click()
    page.press("Send")
    page.shown("#feedback-title", "Thank you")
    browser.get(f"{url}/classifiers/colours")
    page.press("1 answer")
    page.press("Add it to the pictures of green (dark)")
    page.shown("[role=status]", "Added to green (dark). Train again to let the classifier know.")
    assert page.fits()
    page.press("look through them all")
    page.press("green (dark) 1")
    page.shown(".tile-class", "green (dark)")
    assert len(dataset.manifest.kept("green-dark")) == 1


def test_what_it_mixes_up_opens_its_pictures(
    browser: webdriver.Chrome, page: Any, url: str, save: Callable[..., str], dataset: Dataset
) -> None:
    (red,) = (attempt.sha256 for attempt in dataset.manifest.kept("red"))
    save(mixed_up=[(red, "red", "O'Hare & blue")])
    browser.get(f"{url}/classifiers/colours")
    page.press("Pictures")
    page.shown("summary", "What the classifier mixes up").click()
    page.press("red taken for O'Hare & blue: 1")
    page.shown(".cells[open] [aria-current=true]", "red taken for")
    picture = page.shown(".tile img[src]")
    assert red in picture.get_attribute("src")
    page.until(lambda b: b.execute_script("return arguments[0].naturalWidth", picture))
    assert page.fits()
