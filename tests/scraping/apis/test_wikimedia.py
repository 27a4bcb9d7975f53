"""Wikimedia Commons, asked at a stand-in."""

import json
from datetime import date
from itertools import islice

import pytest
from werkzeug.wrappers import Request, Response

from scraping.source import Unavailable
from tellapart.names import parse_class_name
from tests.scraping.apis.answers import commons_page, numbered

CAT = parse_class_name("cat")
MARCH = date(2026, 3, 1)


def test_wikimedia_gives_licence_author_and_a_scaled_copy(make, site):
    source = make("wikimedia", lambda _: numbered("wikimedia", 7))
    (found,) = source.search(CAT, "tabby cat")
    assert found.url == "https://upload.example.org/commons/7.jpg"
    assert found.location == "https://upload.example.org/commons/thumb/7.jpg/960px-7.jpg"
    assert found.page_url == "https://commons.example.org/wiki/File:Cat_7.jpg"
    assert (found.license, found.license_url) == ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0")
    assert (found.author, found.title) == ("Ann & Bob", "Cat 7")
    assert found.attribution == "Cat 7 by Ann & Bob, CC BY-SA 4.0, via Wikimedia Commons"
    assert (found.source, found.query, found.rank) == ("wikimedia", "tabby cat", 0)
    asked = site.requests[0]
    assert asked.args["gsrsearch"] == "tabby cat filetype:bitmap"
    assert (asked.args["gsrnamespace"], asked.args["iiurlwidth"], asked.args["maxlag"]) == ("6", "960", "5")
    assert "someone@example.org" in asked.headers["User-Agent"]


def test_wikimedia_goes_on_with_the_cursor_it_is_given(make, site):
    def answer(request: Request) -> object:
        if "gsroffset" not in request.args:
            pages = [commons_page(2, index=2), commons_page(1, index=1)]
            return {"continue": {"gsroffset": 50, "continue": "gsroffset||"}, "query": {"pages": pages}}
        assert (request.args["gsroffset"], request.args["continue"]) == ("50", "gsroffset||")
        return {"batchcomplete": True, "query": {"pages": [commons_page(3)]}}

    search = make("wikimedia", answer).search(CAT, "cat")
    assert [c.title for c in islice(search, 2)] == ["Cat 1", "Cat 2"]
    assert site.asked["/w/api.php"] == 1
    assert [(c.title, c.rank) for c in search] == [("Cat 3", 2)]


def test_wikimedia_leaves_out_what_is_no_picture_and_keeps_what_says_little(make):
    bare = commons_page(1, extmetadata={}, thumburl="")
    described_later = {key: value for key, value in commons_page(2).items() if key != "imageinfo"}
    pages = [bare, described_later, commons_page(3, mime="video/webm")]
    (found,) = make("wikimedia", lambda _: {"query": {"pages": pages}}).search(CAT, "cat")
    assert (found.title, found.location, found.license, found.author) == ("Cat 1", "", "", "")
    assert found.attribution == "Cat 1, via Wikimedia Commons"


def test_wikimedia_waits_as_long_as_its_lag_asks(make, waits):
    error = {"error": {"code": "maxlag", "info": "Waiting for db1: 6 seconds lagged", "lag": 6}}
    headers = {"Retry-After": "5", "MediaWiki-API-Error": "maxlag"}
    answers = [Response(json.dumps(error), headers=headers), numbered("wikimedia", 1)]
    source = make("wikimedia", lambda _: answers.pop(0))
    assert len(list(source.search(CAT, "cat"))) == 1
    assert waits == [5.0]


def test_wikimedia_says_what_the_api_says(make, waits):
    error = {"error": {"code": "maxlag", "info": "Waiting for db1", "lag": 6}}
    headers = {"Retry-After": "5", "MediaWiki-API-Error": "maxlag"}
    source = make("wikimedia", lambda _: Response(json.dumps(error), headers=headers))
    with pytest.raises(Unavailable, match=r"wikimedia did not search \(maxlag: Waiting for db1\)"):
        list(source.search(CAT, "cat"))
    assert waits == [5.0, 5.0]


def test_wikimedia_since_a_day_takes_the_newest_and_ends_at_an_older_one(make, site):
    times = ["2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T23:59:59Z"]
    pages = [commons_page(n, index=n, timestamp=time) for n, time in enumerate(times, start=1)]
    more = {"continue": {"gsroffset": 50, "continue": "gsroffset||"}, "query": {"pages": pages}}
    source = make("wikimedia", lambda _: {"batchcomplete": True} | more, MARCH)
    assert [c.title for c in source.search(CAT, "cat")] == ["Cat 1", "Cat 2"]
    (asked,) = site.requests
    assert asked.args["gsrsort"] == "create_timestamp_desc"
    assert "timestamp" in asked.args["iiprop"].split("|")
    assert not source.remembered


def test_wikimedia_since_a_day_goes_on_until_every_result_is_described(make, site):
    def answer(request: Request) -> object:
        if "iistart" in request.args:
            return {"batchcomplete": True, "query": {"pages": [commons_page(1)]}}
        rest = {"iistart": "x", "continue": "||"}
        return {"continue": rest, "query": {"pages": [commons_page(2, 2, timestamp="2026-01-01T00:00:00Z")]}}

    assert [c.title for c in make("wikimedia", answer, MARCH).search(CAT, "cat")] == ["Cat 1"]
    assert len(site.requests) == 2
