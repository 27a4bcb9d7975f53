"""Pages with every bad habit, in a real Chromium: what they show late, when scrolled or when pressed is found."""

import pytest

from scraping.source import Blocked
from tellapart.names import parse_class_name

CAT = parse_class_name("cat")
END = "<p id=end></p>"
pytestmark = pytest.mark.browser
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
  if (count === 40) sayEnd();
}
add();
</script>"""
SHOW_MORE = """<div id="all"></div><button id="more" onclick="add()">Show more</button><script>
let count = 0;
function add() {
  all.insertAdjacentHTML("beforeend", `<div class="card"><img src="/p/${count++}.jpg"></div>`);
  more.disabled = true; setTimeout(() => { more.disabled = false; }, 20);
  if (count === 5) { more.remove(); sayEnd(); }
}
add();
</script>"""
LAZY = """<div id="all"></div><script>
const watch = new IntersectionObserver(entries => entries.forEach(({isIntersecting, target}) => {
  if (isIntersecting) target.src = target.parentNode.dataset.later;
  if (document.querySelectorAll("img[src^='/p/']").length === 12) sayEnd();
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
addEventListener("scroll", () => { if (first < 8) { first += 2; show(); if (first === 8) sayEnd(); } });
</script><div style="height:30000px"></div>"""
LATE_OVERLAY = """<div id="all"><div class="card"><img src="/p/0.jpg"></div></div><script>
setTimeout(() => {
  document.body.insertAdjacentHTML("beforeend", `<div style="position:fixed;inset:0">
    <button id="yes" onclick="location='/accepted'">All</button><button id="no">Only what is needed</button></div>`);
  sayEnd();
}, 50);
addEventListener("click", event => { if (event.target.id === "no") {
  event.target.parentNode.remove();
  all.insertAdjacentHTML("beforeend", '<div class="card"><img src="/p/1.jpg"></div>');
} });
</script>"""
PRESSED = """<a class="card" onclick="this.dataset.full = '/p/0.jpg'" href="/elsewhere"></a>
<a class="card" onclick="setTimeout(() => { this.dataset.full = '/p/1.jpg'; sayEnd(); }, 30)" href="/elsewhere"></a>"""
REPEATS = """<div id="all"></div><script>
const card = '<div class="card" style="height:3000px"><img src="/p/0.jpg"></div>';
const add = () => all.insertAdjacentHTML("beforeend", card);
let rounds = 0;
addEventListener("scroll", () => { document.title = ++rounds; add(); });
add();
</script>"""
BADGE = f"""<div class="card"><img src="/p/0.jpg"></div><div id="captcha-badge">protected</div>{END}"""


def names(source) -> list[str]:
    return [candidate.url.rpartition("/")[2] for candidate in source.search(CAT, "cat")]


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


def test_a_page_that_repeats_its_results_is_left(gallery, browser):
    assert names(gallery(REPEATS)) == ["0.jpg"]
    assert int(browser.driver.title) < 20


INSTEAD = """document.body.innerHTML = '<form id="captcha-form">Are you human?</form>'"""
OVER = """document.body.insertAdjacentHTML("beforeend", "<p class='h-captcha'>Human?</p>")"""


@pytest.mark.parametrize("comes", [INSTEAD, OVER], ids=["instead of results", "over results"])
def test_a_captcha_in_the_middle_ends_the_search_and_keeps_what_was_found(gallery, comes):
    body = f"""<div class="card"><img src="/p/0.jpg"></div><div style="height:9000px"></div><script>
    addEventListener("scroll", () => {{ {comes}; sayEnd(); }});
    </script>"""
    search = gallery(body).search(CAT, "cat")
    assert next(search).url.endswith("/p/0.jpg")
    with pytest.raises(Blocked, match="asks whether a person is looking"):
        next(search)


def test_a_captcha_beside_results_is_no_refusal(gallery):
    assert names(gallery(BADGE)) == ["0.jpg"]


def test_next_pages_are_followed_once_each(site, gallery):
    first, second = (
        f'<div class="card"><img src="p/{n}.jpg"></div><a rel="next" href="/list2">on</a>{END}' for n in range(2)
    )
    source = gallery(first, next="a[rel=next]")
    site.serve("/list2", second.encode(), mimetype="text/html")
    assert [c.url for c in source.search(CAT, "cat")] == [f"{site.url}/p/{n}.jpg" for n in range(2)]


def test_pages_of_other_classes_do_not_end_the_search(site, gallery):
    def page(number, label):
        card = f'<div class="card"><img src="/p/{number}.jpg"><i>{label}</i></div>'
        on = "" if number == 5 else f'<a rel="next" href="/list{number + 1}">on</a>'
        return f"{card}{on}{END}".encode()

    for number in range(1, 6):
        site.serve(f"/list{number}", page(number, "cat" if number == 5 else "dog"), mimetype="text/html")
    source = gallery(page(0, "dog").decode(), next="a[rel=next]", label={"selector": "i"})
    found = list(source.search(CAT, "cat"))
    assert [(c.url.rsplit("/", 1)[-1], c.rank) for c in found] == [("5.jpg", 0)]
