"""Bing, DuckDuckGo and Google, read from golden pages in a real Chromium."""

from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.utils import redirect

from scraping.browser import Browser
from scraping.page_rules import PageRules
from scraping.source import Blocked, LayoutChanged, NoResults, Unavailable
from scraping.sources.bing import bing
from scraping.sources.duckduckgo import duckduckgo
from scraping.sources.google import google
from tellapart.names import parse_class_name
from tellapart.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
CAT = parse_class_name("cat")
pytestmark = pytest.mark.browser


@pytest.fixture
def pages(site, settings, browser):
    """Make a search engine's source that asks the stand-in; what its pages have is there at once."""
    hasty = Browser(browser.driver, patience=1)

    def make(engine):
        local = replace(settings, **{f"{name}_url": f"{site.url}/{name}" for name in ("bing", "duckduckgo", "google")})
        return made.enter_context(closing(engine(local, lambda *_: nullcontext(hasty), rules_of_this_machine)))

    with ExitStack() as made:
        yield make


def rules_of_this_machine(settings: Settings, local: bool) -> PageRules:
    """The stand-in for a search engine is on this machine, which such a source does not say of itself."""
    return PageRules(settings, local=True)


def golden(site, path: str, name: str) -> None:
    site.serve(path, (GOLDEN / name).read_bytes(), mimetype="text/html")


def found_by(source) -> list[str]:
    return [candidate.url for candidate in source.search(CAT, "cat")]


def test_bing_is_read_from_its_json_after_refusing_cookies(site, pages):
    golden(site, "/bing", "bing.html")
    first, second, later = pages(bing).search(CAT, "tabby cat")
    assert (first.url, first.page_url) == ("https://pictures.example.org/1.jpg", "https://example.org/pages/1.html")
    assert (first.title, first.license, first.query, first.source) == ("A tabby cat", "", "tabby cat", "bing")
    assert second.url == "https://pictures.example.org/2.png?a=1&b=2"
    assert (later.url, later.rank) == ("https://pictures.example.org/4.jpg", 2)
    assert site.requests[0].args["q"] == "tabby cat"
    assert "/accepted" not in site.asked


def test_duckduckgo_is_read_from_addresses_and_links(site, pages):
    golden(site, "/duckduckgo", "duckduckgo.html")
    first, second = pages(duckduckgo).search(CAT, "cat")
    assert first.url == "https://thumbs.example.org/th?id=OIP.1&pid=Api"
    assert (first.page_url, first.title) == ("https://example.org/pages/1.html", "A tabby cat")
    assert second.url == "https://thumbs.example.org/th?id=OIP.2"


def test_google_is_read_from_links_that_appear_when_pressed(site, pages):
    golden(site, "/google", "google.html")
    first, second = pages(google).search(CAT, "cat")
    assert (first.url, first.page_url) == ("https://pictures.example.org/1.jpg", "https://example.org/pages/1.html")
    assert second.url == "https://pictures.example.org/2.jpg?w=9&h=8"
    assert set(site.asked) <= {"/google", "/favicon.ico"}


def test_a_consent_page_is_answered_with_no(site, pages):
    golden(site, "/consent", "google_consent.html")
    golden(site, "/results", "google.html")
    site.on("/google", lambda _: redirect(f"{site.url}/consent"))
    site.on("/save", lambda _: redirect(f"{site.url}/results"))
    assert len(found_by(pages(google))) == 2
    assert "/accepted" not in site.asked


@pytest.mark.parametrize(("engine", "status"), [(google, 200), (google, 429), (bing, 403)])
def test_a_captcha_or_block_page_ends_the_search(site, pages, engine, status):
    site.serve(f"/{engine.__name__}", (GOLDEN / "google_sorry.html").read_bytes(), mimetype="text/html", status=status)
    with pytest.raises(Blocked) as caught:
        found_by(pages(engine))
    assert caught.value.reason == "blocked"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        (b"<div id='topstuff'><p role='heading'>nothing</p></div>", NoResults, "no_results"),
        (b"<p>something else</p>", LayoutChanged, "layout_changed"),
        (b"<div data-lpage='https://example.org'>no link</div>", LayoutChanged, "layout_changed"),
        (b"<a href='/imgres?other=1'>x</a>", LayoutChanged, "layout_changed"),
    ],
)
def test_no_candidates_say_at_which_stage(site, pages, body, error, reason):
    site.serve("/google", body, mimetype="text/html")
    with pytest.raises(error) as caught:
        found_by(pages(google))
    assert (type(caught.value), caught.value.reason) == (error, reason)


@pytest.mark.parametrize(("status", "error"), [(404, LayoutChanged), (503, Unavailable)])
def test_a_status_is_told(site, pages, status, error):
    site.serve("/bing", b"<p>", mimetype="text/html", status=status)
    with pytest.raises(error, match=f"bing answered with HTTP status {status}"):
        found_by(pages(bing))
