"""The other pages: classifiers, reports, snippets, health, and every error in the site's own look."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from tellapart.none_of_these import ALWAYS_ANSWERS
from tellapart.settings import Settings
from tellapart.wire import ModelSummary
from webui.app import create_app
from webui.catalog import Catalog
from webui.client import ServiceClient, Unavailable
from webui.formats import day, milliseconds, minute, percent
from webui.snippets import snippets

ROOT = Path(__file__).resolve().parents[2]
MORNING = "2026-11-21T09:05:00+00:00"
MakePicture = Callable[..., bytes]


def with_changes(service: Any, **changes: Any) -> ModelSummary:
    changed: ModelSummary = service.models[0].model_copy(update=changes)
    return changed


def test_the_front_page_lists_classifiers(web: FlaskClient, service: Any) -> None:
    service.models = [with_changes(service, accuracy_interval=(0.881, 0.962))]
    page = web.get("/").text
    for shown in (
        "colours",
        "Version v1",
        "21 November 2026",
        "<li>green</li>",
        "93.0\xa0%",
        "between 88.1\xa0% and 96.2\xa0%",
    ):
        assert shown in page
    assert 'href="/classify?model=colours"' in page
    assert 'href="/classifiers/colours/report"' in page


def test_one_that_never_says_none_is_told_of_on_its_page_and_beside_its_answers(
    web: FlaskClient, service: Any, upload: Any, make_picture: MakePicture
) -> None:
    service.models = [with_changes(service, says_none=False)]
    assert ALWAYS_ANSWERS in web.get("/classifiers/colours").text
    one, two = (make_picture("red"), "a.png"), (make_picture("green"), "b.png")
    for pictures in ((one,), (one, two)):
        assert ALWAYS_ANSWERS in web.get(upload(*pictures).location).text
    link = re.search(r"/shared/[\w-]+", web.post(f"{upload(one).location}/shares", data={"days": "1"}).text)
    assert link
    service.models = []  # the link outlives the classifier
    assert ALWAYS_ANSWERS in web.get(link[0]).text


def test_one_that_can_say_none_is_not_said_to_answer_always(
    web: FlaskClient, upload: Any, make_picture: MakePicture
) -> None:
    answer = upload((make_picture("red"), "a.png")).location
    link = re.search(r"/shared/[\w-]+", web.post(f"{answer}/shares", data={"days": "1"}).text)
    assert link
    for path in ("/classifiers/colours", answer, link[0]):
        assert ALWAYS_ANSWERS not in web.get(path).text


def test_without_classifiers_it_says_how_to_make_one(web: FlaskClient, service: Any) -> None:
    service.models = []
    assert "tellapart create pets cat dog rabbit" in web.get("/").text
    assert "There is no classifier yet" in web.get("/classify").text
    assert web.get("/api").status_code == 200
    answer = web.post("/classify", data={"model": ""}, headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "unknown_model"


def test_many_classes_are_cut_short_on_the_card(web: FlaskClient, service: Any) -> None:
    service.models = [with_changes(service, classes=[f"class {i}" for i in range(1000)])]
    assert "and 988 more" in web.get("/").text


def test_a_classifier_shows_its_versions(web: FlaskClient, service: Any) -> None:
    older = with_changes(service, model="colours:v0", version="v0", promoted=False, accuracy=None)
    service.models.append(older)
    page = web.get("/classifiers/colours").text
    assert page.index("v1") < page.index("v0")
    assert page.count(">answers<") == 1
    assert "not measured" in page
    assert "ResNet50" in page
    assert "-F model=colours" in page


def test_a_report_may_run_nothing(web: FlaskClient) -> None:
    answer = web.get("/classifiers/colours/report")
    assert '<main><p><a href="/classifiers/colours">Back to colours</a></p><p>A report' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "colours:v1" in answer.text
    # base64 of the sha256 of "p{color:red}"
    assert "style-src 'sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64=';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src" not in policy
    assert web.get("/classifiers/colours/report?version=v9").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("get", "/nothing", 404, "does not exist"),
        ("get", "/classifiers/cars", 404, "No such classifier"),
        ("get", "/classifiers/%3Cb%3E/report", 404, "No such classifier"),
        ("get", "/classify?model=cars", 404, "No such classifier"),
        ("get", "/results/abcdefghijklmnop", 404, "expired"),
        ("get", "/results/..%2F..%2Fsecret", 404, "expired"),
        ("get", "/results/abcdefghijklmnop/json", 404, "expired"),
        ("get", "/results/abcdefghijklmnop/picture.jpg", 404, "expired"),
        ("get", "/results/%2e%2e%2fsecret/picture.jpg", 404, "expired"),
        ("post", "/", 405, "does not take this kind of request"),
        ("get", "/results/" + "x" * 5000, 404, "expired"),
    ],
)
def test_errors_are_pages_of_the_site_or_json(
    web: FlaskClient, method: str, path: str, status: int, words: str
) -> None:
    page = web.open(path, method=method.upper())
    assert page.status_code == status
    assert words in page.text
    assert '<nav aria-label="Main">' in page.text
    answer = web.open(path, method=method.upper(), headers={"Accept": "application/json"})
    assert answer.status_code == status
    assert set(answer.json["error"]) == {"code", "message"}


def test_our_mistakes_are_a_page_without_details(app: Flask, web: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError("inner detail")

    monkeypatch.setattr(app.extensions["tellapart"].catalog, "classifiers", fail)
    page = web.get("/")
    assert page.status_code == 500
    assert "Something went wrong on our side" in page.text
    assert "inner detail" not in page.text


@pytest.mark.parametrize("path", ["/classify", "/api", "/classifiers/colours", "/classifiers/colours/report"])
def test_a_service_that_is_down_is_a_friendly_503(settings: Settings, path: str) -> None:
    web = create_app(settings, client=ServiceClient("http://127.0.0.1:9")).test_client()
    page = web.get(path)
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "5"
    assert "The service cannot be reached. Try again in a moment." in page.text
    assert f'href="{path}' in page.text  # the button asks for the same page again
    assert web.get(path, headers={"Accept": "application/json"}).json["error"]["code"] == "overloaded"


@pytest.mark.parametrize(
    ("broken", "message", "retry_after"),
    [
        (lambda: Response(status=503, headers={"Retry-After": "17"}), "busy or not ready yet", "17"),
        (lambda: Response(status=503, headers={"Retry-After": "soon"}), "busy or not ready yet", "5"),
        (lambda: Response("<html>", status=500), "answered 500 without a reason", "5"),
        (lambda: Response("<html>"), "answered something that is no ModelList", "5"),
        (lambda: Response(status=401), "token (TELLAPART_TOKEN)", "5"),
        (lambda: Response('{"error":{"code":"odd","message":"x"}}', status=400), "answered 400: x", "5"),
    ],
)
def test_a_service_in_trouble_is_never_a_500(
    web: FlaskClient, service: Any, broken: Any, message: str, retry_after: str
) -> None:
    service.broken = broken
    page = web.get("/classify")
    assert page.status_code == 503
    assert message in page.text
    assert page.headers["Retry-After"] == retry_after


def test_a_service_that_hangs_is_not_waited_for_long(settings: Settings) -> None:
    def hang(request: httpx.Request) -> httpx.Response:
        assert request.extensions["timeout"]["read"] == 5
        raise httpx.ReadTimeout("nothing came", request=request)

    client = ServiceClient("http://service", transport=httpx.MockTransport(hang))
    page = create_app(settings, client=client).test_client().get("/classify")
    assert page.status_code == 503
    assert "The service takes too long to answer" in page.text


def test_a_batch_answer_of_another_length_is_no_answer(upload: Any, make_picture: MakePicture, service: Any) -> None:
    listed = service.models

    def short() -> Any:
        return {"model": listed[0].model, "results": []} if service.asked("/classify_batch") else None

    service.broken = short
    answer = upload((make_picture("red"), "a.png"), (make_picture("blue"), "b.png"))
    assert answer.status_code == 503
    assert "answered 0 of 2 pictures" in answer.text


def test_the_client_sends_its_token(service: Any) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(200, json={"default": None, "models": []})

    for token in ("s3cret", ""):
        ServiceClient("http://service", token, httpx.MockTransport(answer)).models()
    assert seen == ["Bearer s3cret", None]


def test_health_says_whether_the_service_is_there(web: FlaskClient, settings: Settings) -> None:
    up = web.get("/healthz")
    assert (up.status_code, up.json) == (200, {"web": "up", "service": "ready"})
    down = create_app(settings, client=ServiceClient("http://127.0.0.1:9")).test_client().get("/healthz")
    assert (down.status_code, down.json) == (503, {"web": "up", "service": "unreachable"})


@pytest.mark.parametrize("token", ["", "s3cret"])
@pytest.mark.parametrize(("slug", "program"), [("curl", "bash"), ("python", sys.executable), ("javascript", "node")])
def test_a_snippet_works_as_it_stands(
    service: Any,
    serve: Callable[[Any], str],
    tmp_path: Path,
    make_picture: MakePicture,
    slug: str,
    program: str,
    token: str,
) -> None:
    if not (shutil.which(program) and shutil.which("curl" if slug == "curl" else program)):
        pytest.skip(f"{slug} is not on this machine")
    url = serve(service.app())
    (tmp_path / "picture.jpg").write_bytes(make_picture("lime"))
    made = snippets(Settings(home=tmp_path, service_url=url, token=token), "colours")
    script = tmp_path / {"curl": "ask.sh", "python": "ask.py", "javascript": "ask.mjs"}[slug]
    script.write_text(next(s.code for s in made if s.slug == slug))
    environment = {**os.environ, "TELLAPART_TOKEN": token, "NODE_NO_WARNINGS": "1"}
    command = [program, str(script)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    if slug == "curl":
        assert json.loads(done.stdout)["top"] == "green", done.stderr
    else:
        assert done.stdout == "green 0.992248\n", done.stderr
    assert service.tokens[-1] == (f"Bearer {token}" if token else None)


def test_people_are_told_the_address_that_they_can_reach(settings: Settings, service_client: Any) -> None:
    inside = replace(settings, service_url="http://service:3000", public_service_url="https://pictures.example")
    page = create_app(inside, client=service_client).test_client().get("/api").text
    assert page.count("https://pictures.example/classify") == 3
    assert "http://service:3000" not in page


def test_snippets_never_show_the_token_and_quote_every_value(tmp_path: Path) -> None:
    made = snippets(Settings(home=tmp_path, token="s3cret"), 'a\'; rm -rf "b"')
    code = {s.slug: s.code for s in made}
    assert not any("s3cret" in text for text in code.values())
    assert all("TELLAPART_TOKEN" in text for text in code.values())
    assert """-F 'model=a'"'"'; rm -rf "b"'""" in code["curl"]
    assert '"a\'; rm -rf \\"b\\""' in code["python"]
    compile(code["python"], "snippet", "exec")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (percent(0.0), "0.0 %"),
        (percent(0.0004), "< 0.1 %"),
        (percent(0.9825), "98.2 %"),
        (percent(0.99999), "> 99.9 %"),
        (percent(1.0), "100.0 %"),
        (day("2026-11-21T23:30:00-02:00"), '<time datetime="2026-11-22">22 November 2026</time>'),
        (day("yesterday"), "yesterday"),
        (minute(MORNING), f'<time datetime="{MORNING}">21 Nov 2026, 09:05 UTC</time>'),
        (minute("<b>"), "<b>"),
        (milliseconds(41.2), "41 ms"),
        (milliseconds(1234), "1.2 s"),
    ],
)
def test_values_are_written_for_people(shown: str, expected: str) -> None:
    assert shown == expected


def test_importing_the_web_page_loads_nothing_heavy() -> None:
    code = (
        "import sys, webui.app, webui.server; "
        "print([m for m in ('torch', 'torchvision', 'bentoml', 'timm') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_list_may_be_asked_for_by_many_threads(
    service_client: Any, service: Any, clock: Any, tmp_path: Path
) -> None:
    catalog = Catalog(service_client, tmp_path / "changes", clock)
    threads = [threading.Thread(target=catalog.models) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.asked("/models") == 1


def test_all_who_ask_while_the_service_is_slow_are_told_at_once(app: Flask, service: Any) -> None:
    asked, answer, told = threading.Event(), threading.Event(), []
    catalog = app.extensions["tellapart"].catalog

    def slowly() -> Any:
        asked.set()
        assert answer.wait(60)
        return "", 503

    def ask() -> None:
        with pytest.raises(Unavailable):
            catalog.models()
        told.append(1)

    service.broken = slowly
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert asked.wait(60)
    catalog.forget()  # which nobody waits for
    answer.set()
    for thread in threads:
        thread.join(60)
    assert len(told) == 8
    service.broken = None
    catalog.forget()  # one that came late has asked anew
    assert len(catalog.models().models) == 1
