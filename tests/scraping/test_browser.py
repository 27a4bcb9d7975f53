"""The headless browser itself: what it tells of a page, and what it keeps from this machine."""

from threading import Event

import pytest
from werkzeug.wrappers import Response

from scraping.browser import open_browser

pytestmark = pytest.mark.browser


def test_what_a_page_shows_is_told_in_the_order_asked(browser, site):
    site.serve("/", b"<p id='a'>a</p><p id='b'>b</p>", mimetype="text/html")
    browser.visit(site.url)
    assert browser.shown([("z", "#a"), ("a", "#b")]) == "z"
    assert browser.shown([("z", "#c"), ("a", "#b")]) == "a"


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
        assert handed.wait(90)
        browser.visit(f"{site.url}/after")
        assert browser.shown([("it", "p")])
        assert not [path for path in (tmp_path / "Downloads").rglob("*") if path.is_file()]
