"""What holds of every source that asks an API: nothing found, refusals, strange answers, waiting."""

import gzip
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from itertools import count

import pytest
from werkzeug.wrappers import Request, Response

from scraping.source import Blocked, LayoutChanged, NoResults, Unavailable
from scraping.sources.api import MOST_BYTES
from scraping.sources.licenses import creative_commons
from tellapart.names import parse_class_name
from tests.scraping.apis.answers import NOTHING, numbered, photo, photos

CAT = parse_class_name("cat")
MARCH = date(2026, 3, 1)
SOURCES = ("wikimedia", "inaturalist", "flickr")
BOMB = gzip.compress(b" " * (MOST_BYTES + 1))


@pytest.mark.parametrize("name", SOURCES)
def test_without_a_day_everything_is_asked_for_and_remembered(make, site, name):
    source = make(name, lambda _: numbered(name, 1))
    assert len(list(source.search(CAT, "cat"))) == 1
    assert not {"gsrsort", "created_d1", "min_upload_date"} & set(site.requests[0].args)
    assert source.remembered


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_new_is_told_with_the_day(make, name):
    with pytest.raises(NoResults) as caught:
        list(make(name, lambda _: NOTHING[name], MARCH).search(CAT, "cat"))
    assert str(caught.value) == (
        f"{name} has nothing for 'cat' since 2026-03-01. Give an earlier --since, or leave it out"
    )


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_found(make, name):
    with pytest.raises(NoResults, match=f"{name} has nothing for 'qwxyz'"):
        list(make(name, lambda _: NOTHING[name]).search(CAT, "qwxyz"))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("response", "error", "reason", "words"),
    [
        (Response("{}", 403), Blocked, "blocked", "refused the request (HTTP status 403). Set TELLAPART_CONTACT"),
        (Response("", 404), Unavailable, "unavailable", "answered with HTTP status 404"),
        (Response("<html>"), LayoutChanged, "layout_changed", "does not know: no JSON. Update this program"),
        (Response("[1]"), LayoutChanged, "layout_changed", "does not know: something is missing"),
        (Response('{"other": {}}'), LayoutChanged, "layout_changed", "does not know: something is missing"),
        (Response('{"a":' * 50_000), LayoutChanged, "layout_changed", "does not know: something is missing"),
        (Response(BOMB, headers={"Content-Encoding": "gzip"}), LayoutChanged, "layout_changed", "with more than 20 MB"),
    ],
    ids=["forbidden", "missing", "html", "list", "other", "deep", "bomb"],
)
def test_refusals_and_strange_answers_are_one_line(make, name, response, error, reason, words):
    source = make(name, lambda _: response)
    with pytest.raises(error) as caught:
        list(source.search(CAT, "cat"))
    assert type(caught.value) is error
    assert caught.value.reason == reason
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_what_passes_is_waited_for(make, name, waits):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=19))
    answers = [Response("", 429, {"Retry-After": "7"}), Response("", 503, {"Retry-After": soon}), numbered(name, 1)]
    source = make(name, lambda _: answers.pop(0))
    assert len(list(source.search(CAT, "cat"))) == 1
    first, second = (seconds for seconds in waits if seconds > 1)
    assert first == 7
    assert second <= 19


@pytest.mark.parametrize(
    ("response", "tries", "words"),
    [
        (Response("", 429, {"Retry-After": "3600"}), 1, "asks to slow down (HTTP status 429). Run the same command"),
        (Response("", 429), 3, "asks to slow down"),
        (Response("", 503, {"Retry-After": "soon"}), 3, "answered with HTTP status 503"),
    ],
)
def test_what_does_not_pass_is_given_up(make, site, waits, response, tries, words):
    source = make("wikimedia", lambda _: response)
    with pytest.raises(Unavailable, match="wikimedia ") as caught:
        list(source.search(CAT, "cat"))
    assert words in str(caught.value)
    assert site.asked["/w/api.php"] == tries
    assert all(seconds <= 20 for seconds in waits)


def test_a_site_that_repeats_itself_is_left(make, site):
    source = make("flickr", lambda _: photos([photo(1)], pages=1000))
    assert len(list(source.search(CAT, "cat"))) == 1
    assert site.asked["/services/rest"] == 4


@pytest.mark.parametrize(
    ("code", "version", "name", "end"),
    [
        ("by-sa", "2.0", "CC BY-SA 2.0", "/licenses/by-sa/2.0/"),
        ("cc-by-nc-nd", "4.0", "CC BY-NC-ND 4.0", "/licenses/by-nc-nd/4.0/"),
        ("cc0", "1.0", "CC0 1.0", "/publicdomain/zero/1.0/"),
        ("pdm", "1.0", "PDM 1.0", "/publicdomain/mark/1.0/"),
        ("", "", "", ""),
    ],
)
def test_licences_have_names_and_addresses(code, version, name, end):
    found = creative_commons(code, version)
    assert (found.name, found.url.removeprefix("https://creativecommons.org")) == (name, end)


def test_an_answer_without_end_is_left(make, site):
    def endless(request: Request) -> Response:
        return Response((b" " * 1_000_000 for _ in count()), mimetype="application/json")

    with pytest.raises(LayoutChanged, match="answered with more than 20 MB"):
        list(make("flickr", endless).search(CAT, "cat"))
