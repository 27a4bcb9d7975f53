"""Sources that read result pages in a real Chromium: golden pages, and a gallery with every bad habit."""

import json
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from scraping.browser import open_browser
from scraping.collect import collect
from scraping.page_rules import PageRules
from scraping.source import Blocked, LayoutChanged, NoResults, Unavailable
from scraping.sources.bing import bing
from scraping.sources.duckduckgo import duckduckgo
from scraping.sources.google import google
from scraping.sources.site import site as site_source
from tellapart.errors import DataError
from tellapart.names import parse_class_name
from tellapart.pictures import Reason
from tellapart.progress import silent
from tellapart.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
CAT, DOG = parse_class_name("cat"), parse_class_name("dog")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests here, which waits a second at most."""
    settings = Settings(home=Path("/nonexistent"))
    if not (settings.chromium.exists() and settings.chromedriver.exists()):
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    with open_browser(settings, local=True, patience=1) as browser:
        yield browser


@pytest.fixture
def pages(site, settings, browser):
    """Make a search engine's source that asks the stand-in, in the shared browser."""

    def make(engine):
        local = replace(settings, **{f"{name}_url": f"{site.url}/{name}" for name in ("bing", "duckduckgo", "google")})
        return made.enter_context(closing(engine(local, lambda *_: nullcontext(browser), rules_of_this_machine)))

    with ExitStack() as made:
        yield make


@pytest.fixture
def gallery(site, settings, browser, tmp_path):
    """Make a source from a recipe for a page of this body, standing at /list."""

    def make(body: str, suffix: str = ".toml", **recipe: object):
        site.serve("/list", f"<!doctype html><body>{body}".encode(), mimetype="text/html")
        said = {"url": f"{site.url}/list?q={{query}}", "items": ".card", "picture": {"selector": "img"}, "local": True}
        said |= recipe
        path = tmp_path / f"recipe{suffix}"
        path.write_text(json.dumps(said) if suffix == ".json" else toml(said))
        return made.enter_context(closing(site_source(path, settings, browsing=lambda *_: nullcontext(browser))))

    with ExitStack() as made:
        yield make


def rules_of_this_machine(settings: Settings, local: bool) -> PageRules:
    """The stand-in for a search engine is on this machine, which such a source does not say of itself."""
    return PageRules(settings, local=True)


def toml(said: dict[str, object]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items() if not isinstance(value, dict)]
    for key, table in said.items():
        if isinstance(table, dict):
            lines += [f"[{key}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items())]
    return "\n".join(lines)


def golden(site, path: str, name: str) -> None:
    site.serve(path, (GOLDEN / name).read_bytes(), mimetype="text/html")


def found_by(source, class_name=CAT, query: str = "cat") -> list[str]:
    return [candidate.url for candidate in source.search(class_name, query)]


def names(source, **wanted) -> list[str]:
    return [url.rpartition("/")[2] for url in found_by(source, **wanted)]


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


INFINITE = """<ul></ul><div id="foot" style="height:10px"></div><script>
let count = 0;
new IntersectionObserver(([entry]) => { if (entry.isIntersecting && count < 40) add(); }).observe(foot);
function add() {
  for (let n = 0; n < 10; n++) {
    const li = document.createElement("li");
    li.className = "card"; li.style.height = "300px";
    li.innerHTML = `<img data-full="/p/${count++}.jpg" src="data:image/gif;base64,AAAA">`;
    document.querySelector("ul").append(li);
  }
}
add();
</script>"""
SHOW_MORE = """<div id="all"></div><button id="more" onclick="add()">Show more</button><script>
let count = 0;
function add() {
  all.insertAdjacentHTML("beforeend", `<div class="card"><img src="/p/${count++}.jpg"></div>`);
  more.disabled = true; setTimeout(() => { more.disabled = false; }, 20);
  if (count === 5) more.remove();
}
add();
</script>"""
LAZY = """<div id="all"></div><script>
const watch = new IntersectionObserver(entries => entries.forEach(({isIntersecting, target}) => {
  if (isIntersecting) target.src = target.parentNode.dataset.later;
}));
for (let n = 0; n < 12; n++) {
  all.insertAdjacentHTML("beforeend", `<div class="card" data-later="/p/${n}.jpg" style="height:900px">
    <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" style="width:9px;height:9px"></div>`);
  watch.observe(all.lastChild.querySelector("img"));
}
</script>"""
REBUILT = """<div id="all"></div><script>
let first = 0;
const show = () => { all.innerHTML = [0, 1, 2, 3].map(n =>
  `<div class="card k${Math.random().toString(36).slice(2)}"><img src="/p/${first + n}.jpg"></div>`).join(""); };
show();
addEventListener("scroll", () => { if (first < 8) { first += 2; show(); } });
</script><div style="height:30000px"></div>"""
LATE_OVERLAY = """<div id="all"><div class="card"><img src="/p/0.jpg"></div></div><script>
setTimeout(() => document.body.insertAdjacentHTML("beforeend", `<div style="position:fixed;inset:0">
  <button id="yes" onclick="location='/accepted'">All</button><button id="no">Only what is needed</button></div>`), 50);
addEventListener("click", event => { if (event.target.id === "no") {
  event.target.parentNode.remove();
  all.insertAdjacentHTML("beforeend", '<div class="card"><img src="/p/1.jpg"></div>');
} });
</script>"""
PRESSED = """<a class="card" onclick="this.dataset.full = '/p/0.jpg'" href="/elsewhere"></a>
<a class="card" onclick="setTimeout(() => { this.dataset.full = '/p/1.jpg'; }, 30)" href="/elsewhere"></a>"""


@pytest.mark.parametrize(
    ("body", "count", "recipe"),
    [
        (INFINITE, 40, {"picture": {"selector": "img", "attribute": "data-full|src"}}),
        (SHOW_MORE, 5, {"more": "#more"}),
        (LAZY, 12, {}),
        (REBUILT, 12, {}),
        (LATE_OVERLAY, 2, {"consent": "#no"}),
        (PRESSED, 2, {"picture": {"attribute": "data-full"}, "press": ".card"}),
    ],
    ids=["infinite", "show-more", "lazy", "rebuilt", "late-overlay", "pressed"],
)
def test_everything_a_page_has_is_found(site, gallery, body, count, recipe):
    assert names(gallery(body, **recipe)) == [f"{n}.jpg" for n in range(count)]
    assert not {"/accepted", "/elsewhere"} & set(site.asked)


REPEATS = """<div id="all"></div><script>
const card = '<div class="card" style="height:3000px"><img src="/p/0.jpg"></div>';
const add = () => all.insertAdjacentHTML("beforeend", card);
let rounds = 0;
addEventListener("scroll", () => { document.title = ++rounds; add(); });
add();
</script>"""


def test_a_page_that_repeats_its_results_is_left(gallery, browser):
    assert names(gallery(REPEATS)) == ["0.jpg"]
    assert int(browser.driver.title) < 20


def test_a_captcha_in_the_middle_keeps_what_was_found(gallery):
    body = """<div class="card"><img src="/p/0.jpg"></div><div style="height:9000px"></div><script>
    addEventListener("scroll", () => { document.body.innerHTML = '<form id="captcha-form">Are you human?</form>'; });
    </script>"""
    search = gallery(body).search(CAT, "cat")
    assert next(search).url.endswith("/p/0.jpg")
    with pytest.raises(Blocked, match="asks whether a person is looking"):
        next(search)


BADGE = """<div class="card"><img src="/p/0.jpg"></div><div id="captcha-badge">protected</div>"""


def test_a_captcha_beside_results_is_no_refusal(gallery):
    assert names(gallery(BADGE)) == ["0.jpg"]


def test_a_captcha_over_results_ends_the_search(gallery):
    body = """<div class="card"><img src="/p/0.jpg"></div><div style="height:9000px"></div><script>
    addEventListener("scroll", () => document.body.insertAdjacentHTML("beforeend", "<p class='h-captcha'>Human?</p>"));
    </script>"""
    search = gallery(body).search(CAT, "cat")
    assert next(search).url.endswith("/p/0.jpg")
    with pytest.raises(Blocked, match="asks whether a person is looking"):
        next(search)


def test_what_a_page_shows_is_told_in_the_order_asked(browser, site):
    site.serve("/", b"<p id='a'>a</p><p id='b'>b</p>", mimetype="text/html")
    browser.visit(site.url)
    assert browser.shown([("z", "#a"), ("a", "#b")]) == "z"
    assert browser.shown([("z", "#c"), ("a", "#b")]) == "a"


def test_next_pages_are_followed_once_each(site, gallery):
    source = gallery(
        '<div class="card"><img src="p/0.jpg"></div><a rel="next" href="/list2">on</a>', next="a[rel=next]"
    )
    second = b'<div class="card"><img src="p/1.jpg"></div><a rel="next" href="/list2">on</a>'
    site.serve("/list2", second, mimetype="text/html")
    assert found_by(source) == [f"{site.url}/p/0.jpg", f"{site.url}/p/1.jpg"]


def test_pages_of_other_classes_do_not_end_the_search(site, gallery):
    def page(number, label):
        card = f'<div class="card"><img src="/p/{number}.jpg"><i>{label}</i></div>'
        on = "" if number == 5 else f'<a rel="next" href="/list{number + 1}">on</a>'
        return f"{card}{on}".encode()

    for number in range(1, 6):
        site.serve(f"/list{number}", page(number, "cat" if number == 5 else "dog"), mimetype="text/html")
    source = gallery(page(0, "dog").decode(), next="a[rel=next]", label={"selector": "i"})
    found = list(source.search(CAT, "cat"))
    assert [(c.url.rsplit("/", 1)[-1], c.rank) for c in found] == [("5.jpg", 0)]


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_labels_come_from_the_page(gallery, site, suffix):
    body = "".join(
        f"""<div class="card"><a href="/items/{n}"><img src="/p/{n}.jpg"></a><i> {label} </i>
        <b>Ann</b><a class="l" href="https://example.org/by">CC BY</a></div>"""
        for n, label in enumerate(["Felis Catus", "Dog", "felis catus", "Cat", "Wolf"])
    )
    source = gallery(
        body,
        suffix,
        url=f"{site.url}/list",
        label={"selector": "i"},
        labels={"felis catus": "cat"},
        page={"selector": "a", "attribute": "href"},
        author={"selector": "b"},
        license={"selector": ".l"},
        license_url={"selector": ".l", "attribute": "href"},
    )
    assert names(source, class_name=CAT) == ["0.jpg", "2.jpg", "3.jpg"]
    (dog,) = source.search(DOG, "dog")
    assert (dog.page_url, dog.author, dog.license) == (f"{site.url}/items/1", "Ann", "CC BY")
    assert dog.license_url == "https://example.org/by"
    assert dog.source.startswith("site:/")
    with pytest.raises(NoResults):
        found_by(source, parse_class_name("zebra"), "zebra")


def test_files_are_no_pictures_of_a_site(gallery):
    with pytest.raises(LayoutChanged, match="in a form this program does not know"):
        found_by(gallery('<div class="card"><img src="file:///etc/passwd"></div>', local=True))


def test_a_selector_that_is_none_is_one_line(gallery):
    with pytest.raises(LayoutChanged, match="the page cannot be read: ") as caught:
        found_by(gallery("<p>", items="div[["))
    assert "\n" not in str(caught.value)


def test_a_local_site_is_collected(gallery, site, make_dataset, settings, make_photo):
    for n in range(4):
        site.serve(f"/p/{n}.jpg", make_photo(n))
    body = "".join(
        f'<div class="card"><img src="/p/{n}.jpg"><i>{label}</i></div>'
        for n, label in enumerate(["cat", "dog", "cat", "dog"])
    )
    dataset = make_dataset("cat", "dog")
    source = gallery(body, label={"selector": "i"}, local=True)
    assert collect(dataset, [source], 9, settings, silent).kept == {"cat": 2, "dog": 2}


def test_a_list_that_names_no_pages_of_its_pictures_has_placeholders_all_the_same(
    gallery, site, make_dataset, settings, make_photo
):
    for n in range(7):
        site.serve(f"/p/{n}.jpg", make_photo(0 if n < 4 else n))
    labels = ["cat"] * 6 + ["dog"]
    body = "".join(f'<div class="card"><img src="/p/{n}.jpg"><i>{label}</i></div>' for n, label in enumerate(labels))
    dataset = make_dataset("cat", "dog")
    source = gallery(body, label={"selector": "i"})
    assert collect(dataset, [source], 9, settings, silent).kept == {"cat": 2, "dog": 1}
    assert dataset.manifest.counts()["cat"] == {Reason.PLACEHOLDER: 4, Reason.OK: 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("items = ", "is no recipe: "),
        ('items = ".card"', "url: Field required"),
        ('url = "file:///etc"\nitems = "a"\npicture = {}', "url: String should match"),
        ('url = "http://x/"\nitems = "a"\npicture = {}\nitem = 1', "item: Extra inputs are not permitted"),
        ('url = "http://x/"\nitems = "a"\npicture = "img"', "picture: Input should be"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_line(tmp_path, settings, text, words):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        site_source(path, settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_browser_stores_no_file_and_asks_no_proxy_of_the_environment(browser_settings, site, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    site.serve("/", b"<img src=1.jpg><script>location = '/file'</script>", mimetype="text/html")
    handed = Event()

    def hand_out(_: object) -> Response:
        handed.set()
        return Response(b"x" * 9999, headers={"Content-Disposition": "attachment; filename=x.bin"})

    site.on("/file", hand_out)
    site.serve("/after", b"<p>after</p>", mimetype="text/html")
    with open_browser(browser_settings, local=True) as browser:
        browser.visit(site.url)
        assert handed.wait(20)
        browser.visit(f"{site.url}/after")
        assert browser.shown([("it", "p")])
        assert not [path for path in (tmp_path / "Downloads").rglob("*") if path.is_file()]
