"""Making sources, and those that read one's own files."""

import os
import re
from datetime import date
from pathlib import Path

import pytest

from scraping.source import NoResults
from scraping.sources import make_source, source_words
from scraping.sources.folder import FolderSource
from scraping.sources.recipe import read_recipe
from scraping.sources.urls import UrlsSource
from tellapart.errors import DataError, UsageError
from tellapart.names import parse_class_name

CAT, T_SHIRT = parse_class_name("Cat"), parse_class_name("T shirt")


def urls(source: UrlsSource, class_name=CAT) -> list[str]:
    return [candidate.url for candidate in source.search(class_name, class_name.name)]


def test_sources_are_made_by_their_word(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("cat,http://example.org/a.png\n")
    assert [make_source(word, settings).name for word in ("gallery", "openverse")] == ["gallery", "openverse"]
    assert make_source("folder:.", settings).name == f"folder:{tmp_path}"
    assert make_source("urls:list.txt", settings).name == f"urls:{tmp_path}/list.txt"


def test_the_command_line_and_the_pages_name_every_source():
    repository = Path(__file__).parents[2]
    for name in ("cli/options.py", "README.md", "docs/sources.md"):
        text = (repository / name).read_text()
        assert not [word for word in source_words() if word not in text], name


def test_the_recipes_of_the_page_can_be_read(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    recipes = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(recipes) == 2
    for recipe in recipes:
        path = tmp_path / "recipe.toml"
        path.write_text(recipe)
        assert read_recipe(path).to_page().fields["picture"][0] == "img"


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("yahoo", UsageError, "there is no source 'yahoo'. Use one of: "),
        ("gallery:x", UsageError, "there is no source 'gallery:x'"),
        ("", UsageError, "there is no source ''"),
        ("folder", UsageError, "source 'folder' needs a path. Write folder:PATH"),
        ("site:", UsageError, "source 'site' needs a path. Write site:RECIPE"),
        ("site:/no/such", DataError, "/no/such cannot be read: No such file or directory"),
        ("urls:", UsageError, "source 'urls' needs a path. Write urls:PATH"),
        ("folder:/no/such", DataError, "there is no folder /no/such"),
        ("urls:/no/such", DataError, "/no/such cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_source_is_one_line(settings, spec, error, words):
    with pytest.raises(error) as caught:
        make_source(spec, settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["openverse", "bing", "google", "gallery", "site:x", "folder:/x", "urls:/x"])
def test_a_source_that_cannot_tell_what_is_new_names_those_that_can(settings, spec):
    with pytest.raises(UsageError) as caught:
        make_source(spec, settings, date(2026, 3, 1))
    assert str(caught.value) == (
        f"source {spec.partition(':')[0]!r} cannot be asked only for what is new. "
        "Leave out --since, or use flickr, inaturalist, wikimedia"
    )


def test_a_folder_gives_every_file_of_the_class(tmp_path):
    for name in (
        "T shirt/b.png",
        "T shirt/deep/er/a.txt",
        "t-shirt/c.png",
        "T shirt/.hidden",
        "T shirt/.git/x",
        "cat/d.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = list(FolderSource(tmp_path).search(T_SHIRT, "T shirt"))
    names = ["T shirt/b.png", "T shirt/deep/er/a.txt", "t-shirt/c.png"]
    assert [candidate.url for candidate in found] == [(tmp_path / name).as_uri() for name in names]
    assert [candidate.rank for candidate in found] == [0, 1, 2]


def test_a_folder_whose_name_is_no_text_is_passed_over(tmp_path):
    for folder in (os.fsdecode(b"\xff"), "cat"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").touch()
    assert [c.url for c in FolderSource(tmp_path).search(CAT, "Cat")] == [(tmp_path / "cat" / "a.png").as_uri()]


def test_a_folder_without_the_class_says_where_to_put_it(tmp_path):
    with pytest.raises(NoResults, match=rf"has no files for 'Cat'\. Put them in {tmp_path}/cat"):
        list(FolderSource(tmp_path).search(CAT, "Cat"))


@pytest.mark.parametrize(
    "text",
    [
        "# mine\n\ncat,http://example.org/a,b.png\ndog,http://example.org/d.png\nCAT\thttps://example.org/c.png\n",
        "\ufeffcat , http://example.org/a,b.png\r\ncat,https://example.org/c.png\r\n",
        'class,url,license\ncat,"http://example.org/a,b.png",CC0\ndog,http://d,\nCat,https://example.org/c.png,\n',
    ],
)
def test_a_list_of_addresses_with_classes(tmp_path, text):
    path = tmp_path / "list"
    path.write_text(text, newline="")
    assert urls(UrlsSource(path)) == ["http://example.org/a,b.png", "https://example.org/c.png"]


def test_a_csv_list_carries_the_origin(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(
        "url,class,author,license,license_url,page_url,other\n"
        "http://example.org/a.png,cat,Ann,CC0,https://example.org/cc0,https://example.org/page,x\n"
    )
    (found,) = UrlsSource(path).search(CAT, "Cat")
    assert (found.author, found.license, found.license_url) == ("Ann", "CC0", "https://example.org/cc0")
    assert (found.page_url, found.attribution, found.rank) == ("https://example.org/page", "", 0)


def test_a_folder_of_lists_has_one_for_each_class(tmp_path):
    (tmp_path / "cat.txt").write_text("http://example.org/a.png\n# no\nhttp://example.org/b,c.png\n")
    (tmp_path / "t-shirt.txt").write_text("http://example.org/t.png\n")
    source = UrlsSource(tmp_path)
    assert urls(source) == ["http://example.org/a.png", "http://example.org/b,c.png"]
    assert urls(source, T_SHIRT) == ["http://example.org/t.png"]


def test_what_stands_beside_a_class_but_is_no_address_is_kept_for_the_count(tmp_path):
    path = tmp_path / "list"
    path.write_text("cat,not an address\n")
    assert urls(UrlsSource(path)) == ["not an address"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"http://example.org/a.png\n", "line 1 names no class: 'http://example.org/a.png'. Write class,address"),
        (b"cat,http://a\nhttp://example.org/a,b\n", "line 2 names no class"),
        (b"cat,http://a\ngarbage\n", "line 2 names no class: 'garbage'"),
        (b"url,license\nhttp://example.org/a.png,CC0\n", "line 2 names no class"),
        (b"class,url\n,http://example.org/a.png\n", "line 2 names no class"),
        (b"\xff\xd8\xff\xe0", "is not UTF-8 text"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_as_a_whole(tmp_path: Path, content, words):
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        UrlsSource(path)
    assert words in str(caught.value)


def test_a_list_without_the_class_says_so(tmp_path):
    (tmp_path / "dog.txt").write_text("http://example.org/a.png\n")
    with pytest.raises(NoResults, match="has no addresses for 'Cat'"):
        urls(UrlsSource(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no lists of addresses"):
        UrlsSource(tmp_path / "empty")
