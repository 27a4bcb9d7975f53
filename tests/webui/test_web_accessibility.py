"""Every page in real Chromium, light and dark, phone and desktop: axe-core finds no violation of WCAG 2.2 AA."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from werkzeug.datastructures import FileStorage, MultiDict

from tellapart.dataset import Dataset
from tellapart.flags import Suspect, store_flags
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.predictions import Judged, write_predictions
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from webui.app import create_app
from webui.job_command import dataset_folder
from webui.jobs import Kind, State, utc_now

PASSWORD = "a long enough one"
pytestmark = pytest.mark.browser


@pytest.fixture
def site(
    serve: Callable[[Any], str],
    service: Any,
    settings: Settings,
    isolated_home: Path,
    tiny_bundle: Callable[..., Any],
    make_photo: Callable[..., bytes],
) -> Any:
    """The page over a stand-in service, with a classifier in the store and its data set: (url, app)."""
    dataset = Dataset.create(settings.datasets / "colours", "colours", parse_class_names(["red", "green", "blue"]), [])
    for number in range(9):
        c, data = dataset.classes[number // 3], make_photo(number)
        picture = inspect(data)
        dataset.store(c.slug, picture, data)
        dataset.manifest.add([Attempt(f"u{number}", c.slug, Status.KEPT, Reason.OK, rank=number).with_picture(picture)])
    first = dataset.manifest.kept("red")[0].sha256
    store_flags(dataset, [Suspect(first, "red", "label_error", 0.9, "looks like 'green'", "move", "green")])
    with new_model("colours") as (folder, version):
        tiny_bundle(folder, ("red", "green", "blue"), file=b"x" * 100)
        (folder / "report").mkdir()
        write_predictions(folder, [Judged(first, "red", "green", 0.9)])
    promote(f"colours:{version}")
    service.models = [service.models[0].model_copy(update={"version": version, "model": f"colours:{version}"})]
    app = create_app(
        Settings(home=settings.home, service_url=serve(service.app())), WTF_CSRF_ENABLED=False, TESTING=True
    )
    return serve(app), app


@pytest.fixture
def violations(browser: webdriver.Chrome, axe: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """What is wrong with a page, or with the one that is shown."""

    def look(url: str = "") -> list[str]:
        if url:
            browser.get(url)
        return axe(browser)

    return look


def show_in(browser: webdriver.Chrome, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


STAGES = [
    {"stage": "collect car", "done": 9, "total": 9, "unit": "pictures", "counts": {"kept": 9}, "finished": True},
    {"stage": "head", "done": 3, "total": 9, "unit": "folds", "counts": {}, "finished": False},
]
CURVE = [{"at": at, "loss": 1 / (1 + at)} for at in range(4)]


def pages(app: Any, fill: Callable[..., list[str]], upload_path: str, uploads_path: str, batch_path: str) -> list[str]:
    """The address of every kind of page."""
    jobs, settings = app.extensions["tellapart"].jobs, app.extensions["tellapart"].settings
    running = jobs.enqueue(Kind.CREATE, "cars", {"classes": ["car", "bus"], "sources": ["gallery"], "per_class": 9})
    failed, stopped, done = (jobs.enqueue(Kind.TRAIN, name, {}) for name in ("boats", "hats", "cups"))
    sample = jobs.enqueue(Kind.SAMPLE, "", running.options)
    with app.extensions["tellapart"].database.writing() as session:
        common = {"seconds": 2.0, "note": ""}
        session.merge(running).change(
            state=State.RUNNING,
            stages=[common | one | {"points": CURVE[: 4 * number]} for number, one in enumerate(STAGES)],
        )
        session.merge(failed).change(state=State.FAILED, error="there is no data set", fix="Make one")
        session.merge(stopped).change(state=State.STOPPED)
        figures = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "n": 9}
        session.merge(done).change(state=State.DONE, result=figures, finished=utc_now())
    for job in (running, sample):  # their pages show what was found so far
        fill(dataset_folder(job, settings), {"car": 3, "bus": 2})
    dataset = Dataset.open(settings.datasets / "colours")
    red = dataset.manifest.kept("red")[0]
    model = "/classifiers/colours"
    return [
        *("/", "/classify", "/api", "/nothing-here", "/jobs", "/datasets", upload_path, uploads_path, batch_path),
        *(f"{upload_path}/explanation", f"{upload_path}/nearest", f"/create/{sample.id}"),
        *(model, f"{model}/card", f"{model}/wrong", f"{model}/delete", f"{model}/promote"),
        *(f"/jobs/{job.id}" for job in (running, failed, stopped, done)),
        *("/datasets/colours", "/datasets/colours?show=suspects", f"/datasets/colours/pictures/red/{red.sha256}"),
        *("/datasets/colours/audit", "/datasets/colours?show=out", "/datasets/colours/delete"),
        "/datasets/colours?show=cell&true=red&predicted=green",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_violation(
    browser: webdriver.Chrome,
    site: Any,
    scheme: str,
    make_picture: Callable[..., bytes],
    fill: Callable[..., list[str]],
    violations: Callable[..., list[str]],
    console: Any,
) -> None:
    url, app = site
    show_in(browser, scheme)
    found = {path: violations(url + path) for path in pages(app, fill, *uploaded(app, make_picture))}
    app.extensions["tellapart"].users.add("ann", PASSWORD)
    app.extensions["tellapart"].users._seen = None
    found["/login"] = violations(url + "/login")
    assert {path: problems for path, problems in found.items() if problems} == {}
    console.expect("nothing-here")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_has_a_violation(
    browser: webdriver.Chrome,
    page: Any,
    site: Any,
    scheme: str,
    make_picture: Callable[..., bytes],
    violations: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    """What pages become while they are used: rows and tiles, an opened explanation, a link, marked pictures."""
    url, _ = site
    show_in(browser, scheme)
    found = {}
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for number in range(13):
        (tmp_path / f"{number}.png").write_bytes(make_picture((20 * number, 200, 100)))
    browser.get(url + "/classify")
    send = browser.find_element(By.ID, "images").send_keys
    send("\n".join(str(tmp_path / name) for name in ("0.png", "bad.png")))
    page.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".job .working[hidden]")) == 2)
    found["rows"] = violations()
    result = page.shown("[data-result]").get_attribute("data-result")
    send("\n".join(str(tmp_path / f"{number}.png") for number in range(13)))
    page.shown("#many-words", "All 13 are done")
    found["tiles"] = violations()
    browser.get(url + result)
    for piece in browser.find_elements(By.CSS_SELECTOR, "#why summary, .plain summary, .verdict summary"):
        piece.click()
    page.shown(".slider")
    found["explained"] = violations()
    page.press("Send")
    page.shown("#feedback-title", "Thank you")
    page.press("Make a link")
    link = page.shown("#link").get_attribute("value")
    found["told and shared"] = violations()
    found["shared"] = violations(link)
    browser.get(url + "/datasets/colours")
    page.shown(".tile img[src]")
    for number in (0, 1):
        page.shown(f"[data-index='{number}'] input").send_keys(Keys.SPACE)
        page.shown(f"button[value={'remove' if number else 'keep'}]").click()
        page.shown("#chosen", "1 picture marked")
    page.shown("[data-index='2'] input").send_keys(Keys.SPACE)
    found["marked"] = violations()
    browser.get(url)
    browser.find_element(By.ID, "classes").send_keys("cat", Keys.ENTER)
    page.press("Look at samples first")
    page.shown("[role=alert]", "1 class name given")
    found["a form with what is wrong in it"] = violations()
    assert {state: problems for state, problems in found.items() if problems} == {}


def test_a_picture_without_words_would_be_seen(
    browser: webdriver.Chrome, site: Any, violations: Callable[..., list[str]]
) -> None:
    browser.get(site[0])
    browser.execute_script("document.querySelector('main').append(document.createElement('img'))")
    assert any(problem.startswith("image-alt") for problem in violations())


def uploaded(app: Any, make_picture: Callable[..., bytes]) -> tuple[str, str, str]:
    """The paths of a result of one picture that was called wrong, of one of two, and of a batch."""
    web = app.test_client()

    def post(path: str, colours: list[str], **fields: str) -> Any:
        files = [("images", FileStorage(io.BytesIO(make_picture(c)), f"{c}.png")) for c in colours]
        return web.post(path, data=MultiDict([*fields.items(), *files]), content_type="multipart/form-data")

    one, two = post("/classify", ["red"]).location, post("/classify", ["blue", "green"]).location
    web.post(f"{one}/feedback", data={"right": "no", "class": "green", "keep": "yes"})
    batch = web.post("/batches", data={"total": "3", "title": "holiday"}).json["batch"]
    assert post(batch, ["red", "blue"], start="0").status_code == 200
    return one, two, batch
