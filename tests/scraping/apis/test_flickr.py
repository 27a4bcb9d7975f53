"""Flickr, asked at a stand-in."""

from dataclasses import replace
from datetime import date

import pytest
from werkzeug.wrappers import Request

from scraping.source import Blocked, Unavailable
from scraping.sources import make_source
from tellapart.names import parse_class_name
from tests.scraping.apis.answers import numbered, photo, photos

CAT = parse_class_name("cat")
MARCH = date(2026, 3, 1)


def test_flickr_maps_licence_numbers_and_asks_with_the_key(make, site):
    listed = [photo(1), photo(2, license="9", title=""), photo(3, url_l=None), photo(4, license="99")]
    first, second, unknown = make("flickr", lambda _: photos(listed)).search(CAT, "tabby cat")
    assert (first.url, first.page_url) == (
        "https://live.example.org/1_b.jpg",
        "https://www.flickr.com/photos/12345@N00/1",
    )
    assert (first.license, first.license_url) == ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/")
    assert (first.author, first.attribution) == ("Ann", '"Cat 1" by Ann, CC BY 2.0')
    assert second.license == "CC0 1.0"
    assert (unknown.license, unknown.attribution) == ("", "")
    asked = site.requests[0].args
    assert (asked["api_key"], asked["text"], asked["nojsoncallback"]) == ("a key", "tabby cat", "1")
    assert asked["license"] == "1,2,3,4,5,6,7,8,9,10"


def test_flickr_pages_to_the_end(make, site):
    def answer(request: Request) -> object:
        page = int(request.args["page"])
        return photos([photo(page)], page, pages=3)

    assert [c.title for c in make("flickr", answer).search(CAT, "cat")] == ["Cat 1", "Cat 2", "Cat 3"]


def test_flickr_without_a_key_says_how_to_get_one(local, site):
    source = make_source("flickr", replace(local, flickr_key=""))
    with pytest.raises(Unavailable) as caught:
        list(source.search(CAT, "cat"))
    assert str(caught.value) == (
        "flickr asks for an API key. "
        "Get one at https://www.flickr.com/services/apps/create/ and set TELLAPART_FLICKR_KEY to it"
    )
    assert not site.requests
    assert "a key" not in repr(local)


@pytest.mark.parametrize(
    ("code", "message", "error", "words"),
    [
        (100, "Invalid API Key (Key has invalid format)", Blocked, "flickr refused the API key. Get one at"),
        (105, "Service currently\nunavailable", Unavailable, "flickr did not search (Service currently unavailable)"),
    ],
)
def test_flickr_says_what_the_api_says(make, code, message, error, words):
    source = make("flickr", lambda _: {"stat": "fail", "code": code, "message": message})
    with pytest.raises(error) as caught:
        list(source.search(CAT, "cat"))
    assert str(caught.value).startswith(words)


def test_flickr_since_a_day_asks_for_what_was_uploaded_since(make, site):
    source = make("flickr", lambda _: numbered("flickr", 1), MARCH)
    assert len(list(source.search(CAT, "cat"))) == 1
    assert site.requests[0].args["min_upload_date"] == "1772323200"
    assert not source.remembered
