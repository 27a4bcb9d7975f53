"""Pages of the hostile site in a real Chromium: where they lead, and what is read there."""

import socket
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scraping.browser import open_browser
from scraping.page_rules import PageRules
from scraping.selectors import ANY_BLOCK, Page
from scraping.source import Blocked, Candidate, LayoutChanged, LedAstray, NoResults, Unavailable
from scraping.sources.shown import PageSource, Site, web_address
from tellapart.errors import SourceError
from tellapart.names import parse_class_name
from tellapart.settings import Settings
from tests.scraping.hostile.site import NETWORK, TestNames, http, then

CAT = parse_class_name("cat")
GALLERY = Page(
    "img", {"picture": ("", "src")}, next="a", end="#end", nothing="#nothing", consent="#no", blocked=ANY_BLOCK
)
FORBIDDEN = b"User-agent: *\nDisallow: /\n"
pytestmark = pytest.mark.browser


def html(body: str, *headers: str) -> bytes:
    """A page; its end is marked, so that nobody waits for more."""
    page = f"<!doctype html><body>{body}<p id=end>the end</p>"
    return http(page.encode(), "200 OK", "Content-Type: text/html", *headers)


def sent_on(address: str) -> bytes:
    return http(b"", "302 Found", f"Location: {address}")


@pytest.fixture(scope="module")
def browser():
    settings = Settings(home=Path("/nonexistent"))
    if not (settings.chromium.exists() and settings.chromedriver.exists()):
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    with open_browser(settings, network=NETWORK, patience=4) as browser:
        yield browser


@pytest.fixture
def search(hostile, stranger, browser):
    """The addresses that a page of a host name gives, and what ended the search if not its end."""

    def start(name: str, robots: bool = True) -> tuple[list[str], SourceError | None]:
        found: list[str] = []
        hostile.robots["inside"] = http()
        site = Site("pages", GALLERY, lambda _: hostile.at(name, "/"), read_tile)
        settings = replace(stranger.settings, robots=robots)
        source = PageSource(site, settings, lambda *_: nullcontext(browser), rules_of_the_tests)
        with closing(source):
            try:
                found.extend(candidate.url for candidate in source.search(CAT, "cat"))
            except SourceError as error:
                return found, error
        return found, None

    return start


def rules_of_the_tests(settings: Settings, local: bool) -> PageRules:
    return PageRules(settings, local, NETWORK)


def read_tile(tile: dict[str, str], query: str) -> Candidate:
    return Candidate(web_address(tile, "picture"), "pages", query, 0)


def test_pages_on_several_hosts_are_one_gallery(hostile, search):
    hostile.behaviours["first"] = html(f"<img src=1.jpg><a href='{hostile.at('second', '/2')}'>on</a>")
    hostile.behaviours["second"] = html(f"<img src=2.jpg><a href='{hostile.at('third', '/3')}'>on</a>")
    hostile.behaviours["third"] = sent_on(hostile.at("fourth", "/4"))
    hostile.behaviours["fourth"] = html("<img src=4.jpg>")
    found, error = search("first")
    assert found == [hostile.at(name, path) for name, path in (("first", "/1.jpg"), ("second", "/2.jpg"))] + [
        hostile.at("fourth", "/4.jpg")
    ]
    assert error is None
    assert all(hostile.asked[f"{name} robots"] == 1 for name in ("first", "second", "third", "fourth"))


@pytest.mark.parametrize("robots", [True, False])
@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "http://inside.test:{port}/", "http://127.0.0.1:{port}/", "http://169.254.169.254/"],
)
def test_a_next_page_that_is_no_public_one_is_not_opened(hostile, search, browser, target, robots):
    before = hostile.asked["inside"] + hostile.asked["127.0.0.1"]
    hostile.behaviours["lure"] = html(f"<img src=1.jpg><a href='{target.format(port=hostile.port)}'>on</a>")
    found, error = search("lure", robots)
    assert found == [hostile.at("lure", "/1.jpg")]
    assert (type(error), error.reason) == (LedAstray, "refused_address")
    assert browser.address() == hostile.at("lure", "/")
    assert hostile.asked["inside"] + hostile.asked["127.0.0.1"] == before


LEAVES = "<img src=decoy.jpg><script>location = '{target}'</script>"
LEAVES_LATER = """<img src=1.jpg><div style="height:9000px"></div><style>#end {{ display: none }}</style>
<script>addEventListener("scroll", () => {{ location = "{target}"; }})</script>"""
REFRESHES = "<meta http-equiv=refresh content='0;url={target}'>"


@pytest.mark.parametrize("way", [LEAVES, LEAVES_LATER, REFRESHES, None], ids=["script", "scroll", "refresh", "status"])
@pytest.mark.parametrize("robots", [True, False])
def test_what_stands_inside_is_never_read(hostile, search, way, robots):
    target = hostile.at("inside", "/")
    hostile.behaviours["inside"] = html("<img src=secret.jpg>")
    hostile.behaviours["trap"] = html(way.format(target=target)) if way else sent_on(target)
    found, error = search("trap", robots)
    assert not any("inside" in address for address in found)
    assert (type(error), error.reason) == (LedAstray, "refused_address"), str(error)
    assert "\n" not in str(error)


def test_robots_txt_holds_for_where_the_browser_is_sent(hostile, search):
    hostile.behaviours["sender"] = sent_on(hostile.at("closed", "/"))
    hostile.behaviours["closed"] = html("<img src=1.jpg>")
    hostile.robots["closed"] = http(FORBIDDEN)
    found, error = search("sender")
    assert (found, type(error), error.reason) == ([], Blocked, "blocked")
    assert search("sender", robots=False) == ([hostile.at("closed", "/1.jpg")], None)


LOADS = """<script src='{target}/script.js'></script><iframe src='{target}/frame'></iframe>
<link rel=stylesheet href='{target}/style.css'><script>
const over = name => document.body.insertAdjacentHTML("beforeend", `<img src=${{name}}.jpg>`);
fetch("{target}/data", {{mode: "no-cors"}}).then(() => over("read"), () => over("refused"));
</script>"""


def test_what_a_page_loads_comes_from_public_addresses_too(hostile, search):
    before = hostile.asked["inside"]
    hostile.behaviours["inside"] = http(b"document.body.insertAdjacentHTML('beforeend', '<img src=secret.jpg>')")
    hostile.behaviours["loads"] = html(LOADS.format(target=hostile.at("inside", "")))
    found, error = search("loads")
    assert (found, error) == ([hostile.at("loads", "/refused.jpg")], None)
    assert hostile.asked["inside"] == before


def test_a_name_that_stands_for_something_else_a_moment_later_leads_nowhere(hostile, stranger):
    class Rebinding(TestNames):
        asked = 0

        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
            Rebinding.asked += host == "rebinds.test"
            return await super().resolve("first.test" if Rebinding.asked == 1 else "inside.test", port, family)

    network, before = replace(NETWORK, resolver=Rebinding), hostile.asked["rebinds"]
    hostile.behaviours["rebinds"] = html("<img src=secret.jpg>")
    settings = replace(stranger.settings, robots=False)
    with open_browser(settings, network=network) as browser, PageRules(settings, network=network) as rules:
        rules.check(hostile.at("rebinds", "/"))
        with pytest.raises(Unavailable, match="ERR_SOCKS_CONNECTION_FAILED"):
            browser.visit(hostile.at("rebinds", "/"))
    assert hostile.asked["rebinds"] == before


CONSENT = "<button id=no onclick=\"location = '{target}'\">Only what is needed</button>"


@pytest.mark.parametrize(
    ("name", "behaviour", "kind", "reason"),
    [
        ("p_to_file", sent_on("file:///etc/passwd"), Unavailable, "unavailable"),
        ("p_loop", sent_on("/"), Unavailable, "unavailable"),
        ("p_captcha", html("<form id=captcha-form>Are you human?</form>"), Blocked, "blocked"),
        ("p_forbidden", http(b"no", "403 Forbidden"), Blocked, "blocked"),
        ("p_busy", http(b"no", "503 Busy"), Unavailable, "unavailable"),
        ("p_nothing", html("<p id=nothing>no results</p>"), NoResults, "no_results"),
        ("p_other", html("<p>something else</p>"), LayoutChanged, "layout_changed"),
        ("p_cut_off", then(http(b"<img", length=900)), LayoutChanged, "layout_changed"),
    ],
)
def test_every_page_ends_with_its_reason(hostile, search, name, behaviour, kind, reason):
    hostile.behaviours[name] = behaviour
    found, error = search(name)
    assert (found, type(error), error.reason) == ([], kind, reason)
    assert "\n" not in str(error)


def test_a_consent_page_of_another_host_is_answered(hostile, search):
    hostile.behaviours["asks"] = sent_on(hostile.at("consent", "/"))
    hostile.behaviours["consent"] = html(CONSENT.format(target=hostile.at("shows", "/")))
    hostile.behaviours["shows"] = html("<img src=1.jpg>")
    assert search("asks") == ([hostile.at("shows", "/1.jpg")], None)
