"""Sites described by a recipe: labels, what is collected of them, recipes that cannot be used."""

import pytest

from scraping.collect import collect
from scraping.source import LayoutChanged, NoResults
from scraping.sources.site import site as site_source
from tellapart.errors import DataError
from tellapart.names import parse_class_name
from tellapart.pictures import Reason
from tellapart.progress import silent

CAT, DOG = parse_class_name("cat"), parse_class_name("dog")
END = "<p id=end></p>"


@pytest.mark.browser
@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_labels_come_from_the_page(gallery, site, suffix):
    body = "".join(
        f"""<div class="card"><a href="/items/{n}"><img src="/p/{n}.jpg"></a><i> {label} </i>
        <b>Ann</b><a class="l" href="https://example.org/by">CC BY</a></div>"""
        for n, label in enumerate(["Felis Catus", "Dog", "felis catus", "Cat", "Wolf"])
    )
    source = gallery(
        body + END,
        suffix,
        url=f"{site.url}/list",
        label={"selector": "i"},
        labels={"felis catus": "cat"},
        page={"selector": "a", "attribute": "href"},
        author={"selector": "b"},
        license={"selector": ".l"},
        license_url={"selector": ".l", "attribute": "href"},
    )
    assert [c.url.rpartition("/")[2] for c in source.search(CAT, "cat")] == ["0.jpg", "2.jpg", "3.jpg"]
    (dog,) = source.search(DOG, "dog")
    assert (dog.page_url, dog.author, dog.license) == (f"{site.url}/items/1", "Ann", "CC BY")
    assert dog.license_url == "https://example.org/by"
    assert dog.source.startswith("site:/")
    with pytest.raises(NoResults):
        list(source.search(parse_class_name("zebra"), "zebra"))


@pytest.mark.browser
def test_files_are_no_pictures_of_a_site(gallery):
    with pytest.raises(LayoutChanged, match="in a form this program does not know"):
        list(gallery(f'<div class="card"><img src="file:///etc/passwd"></div>{END}').search(CAT, "cat"))


@pytest.mark.browser
def test_a_selector_that_is_none_is_one_line(gallery):
    with pytest.raises(LayoutChanged, match="the page cannot be read: ") as caught:
        list(gallery("<p>", items="div[[").search(CAT, "cat"))
    assert "\n" not in str(caught.value)


@pytest.mark.browser
def test_a_local_site_is_collected(gallery, site, make_dataset, settings, make_photo):
    for n in range(4):
        site.serve(f"/p/{n}.jpg", make_photo(n))
    body = "".join(
        f'<div class="card"><img src="/p/{n}.jpg"><i>{label}</i></div>'
        for n, label in enumerate(["cat", "dog", "cat", "dog"])
    )
    dataset = make_dataset("cat", "dog")
    source = gallery(body + END, label={"selector": "i"})
    assert collect(dataset, [source], 9, settings, silent).kept == {"cat": 2, "dog": 2}


@pytest.mark.browser
def test_a_list_that_names_no_pages_of_its_pictures_has_placeholders_all_the_same(
    gallery, site, make_dataset, settings, make_photo
):
    for n in range(7):
        site.serve(f"/p/{n}.jpg", make_photo(0 if n < 4 else n))
    labels = ["cat"] * 6 + ["dog"]
    body = "".join(f'<div class="card"><img src="/p/{n}.jpg"><i>{label}</i></div>' for n, label in enumerate(labels))
    dataset = make_dataset("cat", "dog")
    source = gallery(body + END, label={"selector": "i"})
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
