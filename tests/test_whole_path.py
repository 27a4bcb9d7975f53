"""From class names to a served prediction: real Chromium, a real Bento server, the web page, one run.

The pictures are drawn here, so that what a picture shows is known; the gallery shows them
from a folder, as it does the demo's.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.ports import free_port
from tests.world import CLASSES, PER_CLASS, ROOT, World, classified, draw, encoded, shown, until_it_answers, upload

pytestmark = [pytest.mark.browser, pytest.mark.service]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    for kind in CLASSES:
        (folder / "gallery" / kind).mkdir(parents=True)
        for i in range(PER_CLASS):
            draw(kind, i).save(folder / "gallery" / kind / f"{kind} {i}.png")
    web_port, service_port = free_port(), free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("TELLAPART_", "BENTOML_"))},
        "TELLAPART_HOME": str(folder / "home"),
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "TELLAPART_GALLERY": str(folder / "gallery"),
        "TELLAPART_WEB_PORT": str(web_port),
        "TELLAPART_SERVICE_PORT": str(service_port),
        "TORCH_HOME": str(folder / "torch"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    return World(folder, environment, web_port, service_port)


@pytest.fixture(scope="module")
def tag(world: World) -> str:
    """The exact tag of the classifier that `create` made of pictures that a browser found."""
    made = world.tellapart("create", "shapes", ",".join(CLASSES), "--source", "gallery", "--per-class", "12", "--yes")
    assert made.returncode == 0, made.stderr
    found = re.search(r"shapes:\w+", made.stdout)
    assert found, made.stdout
    return found[0]


@pytest.fixture(scope="module")
def running(world: World, tag: str) -> Iterator[subprocess.Popen[bytes]]:
    """`tellapart up`, ready."""
    command = [sys.executable, "-m", "cli", "up", "--no-open"]
    log = world.folder / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=world.environment, stderr=out, stdout=out)
    with httpx.Client(trust_env=False) as client:
        while process.poll() is None and "Ctrl-C stops it" not in log.read_text():
            with contextlib.suppress(httpx.HTTPError):
                client.get(f"http://127.0.0.1:{world.web_port}/healthz", timeout=0.2)
    assert process.poll() is None, log.read_text()
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A Chromium as a person has it, without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    flags = ("--headless=new", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    for flag in (*flags, *sandbox, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver", env={**os.environ, "SE_OFFLINE": "true"}))
    yield driver
    driver.quit()


def test_every_attempt_is_on_record_with_its_origin(world: World, tag: str) -> None:
    from tellapart.dataset import Dataset

    dataset = Dataset.open(world.folder / "home" / "datasets" / "shapes")
    kept = dataset.manifest.kept()
    assert {slug: len(dataset.manifest.kept(slug)) for slug in CLASSES} == dict.fromkeys(CLASSES, 12)
    assert all(a.source == "gallery" and a.page_url and a.query for a in kept)
    originals = {path.read_bytes() for path in (world.folder / "gallery").rglob("*.png")}
    assert {dataset.image_path(a).read_bytes() for a in kept} <= originals


def test_a_second_create_does_nothing_twice(world: World, tag: str) -> None:
    again = world.tellapart("create", "shapes", ",".join(CLASSES), "--source", "gallery", "--per-class", "12", "--yes")
    assert again.returncode == 0, again.stderr
    assert tag in again.stdout
    listed = json.loads(world.tellapart("models", "list", "--json", "-").stdout)
    assert [m["tag"] for m in listed] == [tag]


def test_other_classes_under_the_same_name_are_refused(world: World, tag: str) -> None:
    other = world.tellapart("create", "shapes", "cat", "dog", "--source", "gallery", "--yes")
    assert other.returncode == 2
    assert other.stderr.startswith("error: the data set shapes exists with other classes")
    assert len(other.stderr.strip().splitlines()) == 1


def test_the_numbers_are_measured_and_say_how(world: World, tag: str) -> None:
    shown = json.loads(world.tellapart("models", "show", tag, "--json", "-").stdout)
    assert shown["metrics"]["accuracy"] >= 0.9
    assert shown["metrics"]["protocol"] == "cross-validation"
    assert shown["metrics"]["n"] == 12 * len(CLASSES)
    assert shown["backbone"] == "efficientnet_lite0"


def test_one_picture_gets_the_same_probabilities_everywhere(
    world: World, tag: str, running: subprocess.Popen[bytes]
) -> None:
    golden = world.folder / "golden.png"
    golden.write_bytes(encoded(draw("crosses", 999)))

    predicted = json.loads(world.tellapart("predict", tag, str(golden), "--json", "-").stdout)
    by_predict = _by_class(predicted[0]["predictions"])

    answer = classified(world, golden)
    by_http = _by_class(answer["predictions"])

    by_training = _by_training(world, tag, golden)
    assert by_training.keys() == by_predict.keys() == by_http.keys() == set(CLASSES)
    for name in CLASSES:
        assert abs(by_training[name] - by_predict[name]) <= 1e-3
        assert abs(by_training[name] - by_http[name]) <= 1e-3
    assert answer["model"] == tag
    assert answer["top"] == "crosses"


def test_a_person_uploads_a_picture_and_sees_the_class(
    world: World, tag: str, running: subprocess.Popen[bytes], browser: webdriver.Chrome
) -> None:
    first, renamed, other = (world.folder / name for name in ("photo.png", "renamed.png", "photo2.png"))
    first.write_bytes(encoded(draw("stripes", 321)))
    renamed.write_bytes(first.read_bytes())
    other.write_bytes(encoded(draw("discs", 322)))

    assert "stripes" in upload(world, browser, first)
    again = upload(world, browser, renamed)
    assert "stripes" in again
    assert "answered from the cache" in again.lower()
    first.write_bytes(other.read_bytes())
    changed = upload(world, browser, first)
    assert "discs" in changed
    assert "answered from the cache" not in changed.lower()
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_report_is_there_for_people(
    world: World,
    tag: str,
    running: subprocess.Popen[bytes],
    browser: webdriver.Chrome,
    axe: Callable[..., list[str]],
) -> None:
    browser.get(f"http://127.0.0.1:{world.web_port}/classifiers/shapes/report")
    text = browser.find_element(By.TAG_NAME, "body").text
    assert all(name in text for name in CLASSES)
    assert "95 % interval" in text
    for width, scheme in itertools.product((360, 1280), ("light", "dark")):
        screen = {"width": width, "height": 800, "screenWidth": width, "screenHeight": 800, "deviceScaleFactor": 1}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen | {"mobile": width < 500})
        assert axe(browser, scheme) == [], (width, scheme)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_training_again_on_the_page_makes_a_version_that_answers(
    world: World, tag: str, running: subprocess.Popen[bytes], browser: webdriver.Chrome
) -> None:
    page = f"http://127.0.0.1:{world.web_port}"
    picture = world.folder / "again.png"
    picture.write_bytes(encoded(draw("crosses", 77)))
    browser.get(f"{page}/datasets/shapes")
    shown(browser, ".tile img[src]")
    shown(browser, "[data-index='0'] input").send_keys(Keys.SPACE)
    shown(browser, "button[value=remove]").click()
    shown(browser, "#chosen", "1 picture marked")
    shown(browser, "button", "Apply").click()
    shown(browser, "[role=status]", "Carried out for 1 picture")
    shown(browser, "button", "Train again").click()
    shown(browser, ".state", "Done", seconds=240)
    assert "accuracy" in shown(browser, "#part-state").text

    shown(browser, "a", "See the classifier").click()
    rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, ".versions tbody th")]
    assert len(rows) == 2
    assert "answers" in rows[0]
    newer = f"shapes:{rows[0].split()[0]}"
    assert newer != tag
    until_it_answers(world, browser, picture, newer)
    assert "crosses" in upload(world, browser, picture)

    browser.get(f"{page}/classifiers/shapes")
    shown(browser, "a", "Roll back").click()
    shown(browser, "button", "Roll back").click()
    shown(browser, "[role=status]", f"{tag} answers again.")
    until_it_answers(world, browser, picture, tag)
    shown(browser, "a", "Let it answer").click()
    shown(browser, "button", "Let it answer").click()
    shown(browser, "[role=status]", f"{newer} answers now.")
    until_it_answers(world, browser, picture, newer)


@pytest.mark.parametrize(
    ("slug", "command"), [("curl", ["bash"]), ("python", [sys.executable]), ("javascript", ["node"])]
)
def test_code_works_as_it_is_copied(
    world: World, running: subprocess.Popen[bytes], browser: webdriver.Chrome, slug: str, command: list[str]
) -> None:
    if not all(map(shutil.which, [*command, "curl"])):
        pytest.skip(f"{slug} is not on this machine")
    page = f"http://127.0.0.1:{world.web_port}"
    rights = {"origin": page, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.execute_cdp_cmd("Browser.grantPermissions", rights)
    browser.get(f"{page}/api")
    button = shown(browser, f"[data-copy=source-{slug}]")
    button.click()
    shown(browser, f"[data-copy=source-{slug}]", "Copied")
    folder = world.folder / slug
    folder.mkdir()
    (folder / "picture.jpg").write_bytes(encoded(draw("discs", 5)))
    program = folder / ("ask.mjs" if slug == "javascript" else "ask")
    program.write_text(browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])"))
    done = subprocess.run(
        [*command, str(program)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert "discs" in done.stdout, done.stderr


def test_a_taken_port_is_one_clear_line(world: World, running: subprocess.Popen[bytes]) -> None:
    second = world.tellapart("up", "--no-open")
    assert second.returncode == 2
    assert re.fullmatch(r"error: port \d+ for the .* cannot be used .*\n", second.stderr)


def test_stopping_leaves_no_process_behind(world: World, running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 0
    said = (world.folder / "up.log").read_text()
    assert said.startswith("starting the service, the web page, the worker;")
    assert said.endswith("stopping; a job that runs goes on at the next start\nstopped\n")
    assert not re.search(r"INFO|tuning|POST", said), said
    for port in (world.web_port, world.service_port):
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
    marker = f"BENTOML_HOME={world.folder / 'bentoml'}".encode()
    assert [_command(pid) for pid in _processes() if marker in _environment(pid)] == []


def _by_class(predictions: list[dict[str, float]]) -> dict[str, float]:
    return {str(p["class"]): p["confidence"] for p in predictions}


def _by_training(world: World, tag: str, picture: Path) -> dict[str, float]:
    """The probabilities as training's evaluation computes them."""
    from tellapart.classifier import Loader
    from tellapart.dataset import Sample
    from tellapart.images import sha256
    from tellapart.progress import silent
    from training.features import FeatureSource, extract

    name, version = tag.split(":")
    classifier = Loader().load(world.folder / "bentoml" / "models" / name / version)
    sample = Sample(picture, 0, sha256(picture.read_bytes()), "test", "golden")
    features = extract([sample], FeatureSource.of_classifier(classifier), world.folder / "cache", silent)
    probabilities = classifier.bundle.head.probabilities(features.values)[0]
    return dict(zip(classifier.info.class_names, map(float, probabilities), strict=True))


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
