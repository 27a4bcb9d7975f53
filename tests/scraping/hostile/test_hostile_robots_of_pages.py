"""A page that its site's robots.txt forbids is not opened in the browser either."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from scraping.page_rules import PageRules
from scraping.selectors import Page
from scraping.source import Blocked, Candidate, LedAstray, Unavailable
from scraping.sources.shown import PageSource, Site
from tellapart.names import parse_class_name
from tellapart.settings import Settings
from tests.scraping.hostile.site import NETWORK, http

CAT = parse_class_name("cat")
PAGES = Page("img", {"picture": ("", "src")}, next="a")
ONLY_THE_FIRST = b"User-agent: *\nDisallow: /2\n"


class Pages:
    """Stands in for the browser: pages with one tile each, where one leads on to the next."""

    def __init__(self) -> None:
        self.visited: list[str] = []

    def visit(self, address: str) -> None:
        self.visited.append(address)

    def address(self) -> str:
        return self.visited[-1]

    def status(self) -> int:
        return 200

    def shown(self, choices: list[tuple[str, str]], wait: bool = True) -> str:  # noqa: ARG002
        return "tiles" if "tiles" in dict(choices) else ""

    def read(self, page: Page) -> tuple[list[dict[str, str]], int]:  # noqa: ARG002
        return [{"picture": f"{self.visited[-1]}.jpg", "base": ""}], 0

    def bring_more(self, page: Page, mark: int) -> bool:  # noqa: ARG002
        return False

    def link(self, selector: str) -> str:  # noqa: ARG002
        first, _, number = self.visited[-1].rpartition("/")
        return f"{first}/{int(number) + 1}" if number < "3" else ""


def rules_of_the_tests(settings: Settings, local: bool) -> PageRules:
    return PageRules(settings, local, NETWORK)


@pytest.fixture
def search(hostile, stranger):
    """Search a site whose pages are /1, /2 and /3; gives the browser, and the candidates to come."""
    sources = []

    def start(name: str, rules: bytes, **changes: object):
        hostile.robots[name], browser = http(rules), Pages()
        site = Site(
            "pages", PAGES, lambda _: hostile.at(name, "/1"), lambda tile, q: Candidate(tile["picture"], "pages", q, 0)
        )
        settings = replace(stranger.settings, **changes)
        sources.append(PageSource(site, settings, lambda *_: nullcontext(browser), rules_of_the_tests))
        return browser, sources[-1].search(CAT, "cat")

    yield start
    for source in sources:
        source.close()


def test_a_forbidden_page_is_not_opened(hostile, search):
    browser, found = search("pages_none", b"User-agent: *\nDisallow: /\n")
    with pytest.raises(Blocked) as caught:
        next(found)
    assert str(caught.value) == (
        f"the robots.txt of pages_none.test:{hostile.port} forbids programs /1. "
        "Use another source, or TELLAPART_ROBOTS=off where the site's owner has allowed it"
    )
    assert browser.visited == []


def test_what_came_before_a_forbidden_page_stays(hostile, search):
    browser, found = search("pages_first", ONLY_THE_FIRST)
    assert next(found).url == hostile.at("pages_first", "/1.jpg")
    with pytest.raises(Blocked, match="forbids programs /2"):
        next(found)
    assert browser.visited == [hostile.at("pages_first", "/1")]
    assert hostile.asked["pages_first robots"] == 1


@pytest.mark.parametrize(("robots", "changes"), [(b"", {}), (ONLY_THE_FIRST, {"robots": False})])
def test_allowed_pages_are_all_opened(hostile, search, robots, changes):
    name = f"pages_all_{len(robots)}"
    browser, found = search(name, robots, **changes)
    assert len(list(found)) == len(browser.visited) == 3
    assert hostile.asked[f"{name} robots"] == (0 if changes else 1)


def test_rules_that_cannot_be_read_forbid_for_now(hostile, stranger):
    hostile.robots["pages_broken"] = http(b"", "500 Oops")
    with (
        PageRules(stranger.settings, network=NETWORK) as rules,
        pytest.raises(Unavailable, match=r"robots\.txt") as caught,
    ):
        rules.check(hostile.at("pages_broken"))
    assert type(caught.value) is Unavailable
    assert "\n" not in str(caught.value)


HERE = ["http://127.0.0.1:9/", "http://localhost:9/x", "http://[::1]:9/"]


@pytest.mark.parametrize("address", HERE)
def test_pages_on_this_machine_are_not_asked_for_rules(stranger, address):
    with PageRules(stranger.settings, local=True) as rules:
        rules.check(address)


@pytest.mark.parametrize(
    ("address", "local"),
    [(address, False) for address in [*HERE, "http://2130706433/", "http://[::ffff:127.0.0.1]/"]]
    + [
        (address, local)
        for address in [
            "file:///etc/passwd",
            "about:blank",
            "data:text/html,x",
            "javascript:1",
            "http://169.254.169.254/",
        ]
        for local in (True, False)
    ],
)
@pytest.mark.parametrize("robots", [True, False])
def test_pages_that_are_no_public_ones_may_not_be_opened(stranger, address, local, robots):
    with PageRules(replace(stranger.settings, robots=robots), local) as rules, pytest.raises(LedAstray) as caught:
        rules.check(address)
    assert caught.value.reason == "refused_address"
    assert "\n" not in str(caught.value)
