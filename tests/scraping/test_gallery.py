"""The gallery: its catalog and pages through a test client, and the source through a real browser."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

from scraping.browser import open_browser
from scraping.collect import collect
from scraping.selectors import Page
from scraping.source import LayoutChanged, NoResults, Unavailable
from scraping.sources.gallery.catalog import Catalog
from scraping.sources.gallery.site import BATCH, create_site
from scraping.sources.gallery.source import GallerySource
from scraping.sources.showing import show
from tellapart.errors import SourceError
from tellapart.images import probe
from tellapart.names import parse_class_name
from tellapart.progress import silent

CAT = parse_class_name("cat")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, make_photo):
    """Pictures in nested folders, and what is no picture."""
    for seed, name in enumerate(["animals/Red fox/a.png", "animals/cat/b.jpg", "animals/cat/wild/c.PNG", "cat.png"]):
        path = tmp_path / "gallery" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_photo(seed))
    for name in ("animals/cat/b.svg", "animals/cat/b.ogg", "animals/cat/b.txt", "animals/cat/.hidden.txt"):
        (tmp_path / "gallery" / name).touch()
    (tmp_path / "secret.png").write_bytes(make_photo(9))
    (tmp_path / "gallery" / "animals" / "link.png").symlink_to(tmp_path / "secret.png")
    return tmp_path / "gallery"


@pytest.fixture
def client(folder):
    return create_site(Catalog(folder)).test_client()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("cat", ["animals/cat/b.jpg", "animals/cat/wild/c.PNG"]),
        ("CAT", ["animals/cat/b.jpg", "animals/cat/wild/c.PNG"]),
        ("red fox", ["animals/Red fox/a.png"]),
        ("wild animals", ["animals/cat/wild/c.PNG"]),
        ("animals", ["animals/Red fox/a.png", "animals/cat/b.jpg", "animals/cat/wild/c.PNG"]),
        ("ca", []),
        ("", []),
        ("..", []),
    ],
)
def test_search_matches_the_names_of_folders(folder, query, found):
    assert Catalog(folder).search(query) == found


def test_a_missing_folder_says_what_to_install(tmp_path):
    with pytest.raises(Unavailable, match="apt-get install tuxpaint-stamps-default"):
        Catalog(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../secret.png", "..%2fsecret.png", "animals/../../secret.png", "animals/link.png"])
@pytest.mark.parametrize("page", ["full", "thumbnail", "picture"])
def test_nothing_outside_the_catalog_is_shown(client, page, name):
    assert client.get(f"/{page}/{name}").status_code == 404


def test_full_size_is_the_file_and_thumbnails_are_small(client, folder, make_photo):
    (folder / "animals" / "cat" / "big.png").write_bytes(make_photo(1, size=(900, 600)))
    client = create_site(Catalog(folder)).test_client()
    with client.get("/full/animals/cat/big.png") as full:
        assert full.data == (folder / "animals/cat/big.png").read_bytes()
    small = probe(client.get("/thumbnail/animals/cat/big.png").data)
    assert (small.mime, small.width, small.height) == ("image/jpeg", 220, 147)


def test_a_picture_that_cannot_be_shown_has_no_thumbnail(folder):
    (folder / "animals" / "broken.png").write_bytes(b"no picture")
    client = create_site(Catalog(folder)).test_client()
    assert client.get("/thumbnail/animals/broken.png").status_code == 415


def test_pages_show_licence_and_author(client, folder):
    assert b"not known" in client.get("/picture/animals/cat/b.jpg").data
    (folder / "credits.json").write_text(json.dumps({"license": "CC0 1.0", "author": "Ann & Bob"}))
    page = create_site(Catalog(folder)).test_client().get("/picture/animals/cat/b.jpg").data
    assert b"CC0 1.0" in page
    assert b"Ann &amp; Bob" in page


def test_home_lists_topics_and_escapes_the_query(client):
    assert b"Red fox" in client.get("/").data
    assert b"<script>alert" not in client.get("/?q=<script>alert(1)</script>").data


def test_results_come_in_batches(class_folders):
    client = create_site(Catalog(class_folders(cat=BATCH + 1))).test_client()
    first = client.get("/search.json?q=cat&offset=0").get_json()
    assert (len(first["tiles"]), first["next"], first["total"]) == (BATCH, BATCH, BATCH + 1)
    last = client.get(f"/search.json?q=cat&offset={BATCH}").get_json()
    assert (len(last["tiles"]), last["next"]) == (1, None)
    assert client.get("/search.json?q=cat&offset=-5").get_json()["tiles"] == first["tiles"]


@pytest.mark.browser
def test_a_browser_finds_everything_behind_scrolling_and_the_button(browser_settings, class_folders):
    folder = class_folders(cat=4 * BATCH, dog=2)
    (folder / "credits.json").write_text(
        json.dumps({"license": "CC0 1.0", "license_url": "https://x/", "author": "Ann"})
    )
    source = GallerySource(replace(browser_settings, gallery_folder=folder))
    try:
        found = list(source.search(CAT, "cat"))
        assert [c.url for c in found] == [f"gallery:/full/cat/cat_{n:03}.png" for n in range(4 * BATCH)]
        assert [c.rank for c in found] == list(range(4 * BATCH))
        first = found[0]
        assert first.location.startswith("http://127.0.0.1:")
        assert (first.page_url, first.title) == ("gallery:/picture/cat/cat_000.png", "Cat 000")
        assert (first.license, first.license_url, first.author) == ("CC0 1.0", "https://x/", "Ann")
        assert first.attribution == "Cat 000 by Ann, CC0 1.0"
        with pytest.raises(NoResults, match="the gallery has nothing for 'zebra & co'"):
            list(source.search(CAT, "zebra & co"))
    finally:
        source.close()


@pytest.mark.browser
def test_collecting_through_a_browser_and_again_without_one(browser_settings, class_folders, make_dataset, monkeypatch):
    settings = replace(browser_settings, gallery_folder=class_folders(cat=30, dog=3))
    dataset = make_dataset("cat", "dog")
    assert collect(dataset, [GallerySource(settings)], 40, settings, silent).kept == {"cat": 30, "dog": 3}
    assert {row.mime for row in dataset.manifest.kept()} == {"image/png"}
    without = replace(settings, chromium=settings.home / "nowhere")
    assert collect(dataset, [GallerySource(without)], 40, without, silent).kept == {"cat": 30, "dog": 3}


@pytest.mark.stamps
def test_the_demo_pictures_are_found_with_their_licence(settings):
    if not settings.gallery_folder.is_dir():
        pytest.skip("needs the demo pictures: apt-get install tuxpaint-stamps-default")
    catalog = Catalog(settings.gallery_folder)
    assert all(len(catalog.search(topic)) >= 20 for topic in ("mammals", "birds", "fruit", "flowers"))
    assert (catalog.credit.license, catalog.credit.author[:10]) == ("GPL-2", "Tux Paint ")


def test_no_browser_is_one_line_that_says_what_to_install(settings, class_folders, make_dataset):
    without = replace(settings, gallery_folder=class_folders(cat=1), chromedriver=settings.home / "nowhere")
    with pytest.raises(SourceError) as caught:
        collect(make_dataset("cat", "dog"), [GallerySource(without)], 5, without, silent)
    assert str(caught.value) == (
        f"no pictures for 'cat', 'dog': there is no browser driver at {settings.home}/nowhere. "
        "Install the browser and its driver: apt-get install chromium chromium-driver"
    )
    assert caught.value.exit_code == 4


@pytest.mark.browser
def test_a_browser_that_does_not_start_is_one_line(browser_settings, tmp_path):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    settings = replace(browser_settings, chromium=broken)
    with pytest.raises(Unavailable, match="the browser does not start: ") as caught, open_browser(settings):
        pass
    assert "\n" not in str(caught.value)


@pytest.fixture
def browser_processes(short_folder, monkeypatch):
    """The processes of browsers started in this test, known by the folder that their profile is in."""
    monkeypatch.setattr("tempfile.tempdir", str(short_folder))

    def find() -> list[str]:
        commands = [process / "cmdline" for process in Path("/proc").iterdir() if process.name.isdecimal()]
        return [str(c) for c in commands if c.exists() and str(short_folder).encode() in c.read_bytes()]

    return find


@pytest.mark.browser
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_browser_whatever_ends_it(browser_settings, site, short_folder, browser_processes, error):
    site.serve("/", b"<p class='tile'>one</p>", mimetype="text/html")

    def use_it() -> None:
        with open_browser(browser_settings, local=True) as browser:
            browser.visit(site.url)
            tiles, _ = browser.read(Page(".tile", {"picture": ("", ""), "none": ("a", "href")}))
            assert tiles == [{"picture": "one", "none": "", "base": f"{site.url}/"}]
            assert browser_processes()
            raise error

    with pytest.raises(error):
        use_it()
    assert not browser_processes()
    assert not list(short_folder.glob("tellapart-chromium-*"))


HOLDS_A_BROWSER = """
import sys
from scraping.browser import open_browser
from tellapart.settings import load_settings

with open_browser(load_settings()):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.browser
def test_nothing_is_left_of_the_browser_of_a_killed_process(browser_settings, short_folder, browser_processes):
    command = [sys.executable, "-c", HOLDS_A_BROWSER]
    environment = {**os.environ, "TMPDIR": str(short_folder)}
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, env=environment, cwd=REPOSITORY) as process:
        assert process.stdout.readline() == b"ready\n"
        assert browser_processes()
        process.kill()
    deadline = time.monotonic() + 90
    while browser_processes():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with open_browser(browser_settings, local=True):
        profiles = [path.name for path in short_folder.glob("tellapart-chromium-*")]
        assert [name.split("-")[2] for name in profiles] == [str(os.getpid())]


@pytest.mark.browser
def test_a_page_that_changed_or_went_away_is_told_apart(browser_settings, site):
    site.serve("/", b"<p>something else</p>", mimetype="text/html")
    page = Page(".tile", {"picture": ("", "")})

    def anything(address: str) -> None:
        """Every page may be opened."""

    with open_browser(browser_settings, local=True, patience=0.2) as hasty:
        with pytest.raises(LayoutChanged, match=r"shows nothing that matches '\.tile'"):
            list(show(hasty, page, site.url, "it", anything))
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with pytest.raises(Unavailable, match="ERR_SOCKS_CONNECTION"):
            list(show(hasty, page, f"http://127.0.0.1:{port}/", "it", anything))
        site.serve("/", b"<p class='tile'>one</p>", mimetype="text/html")
        assert list(show(hasty, page, site.url, "it", anything)) == [[{"picture": "one", "base": f"{site.url}/"}]]
