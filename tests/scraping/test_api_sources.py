"""Wikimedia Commons, iNaturalist and Flickr, asked at stand-ins that answer in the recorded shapes."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from itertools import count, islice

import pytest
from werkzeug.wrappers import Request, Response

from scraping.source import Blocked, LayoutChanged, NoResults, Unavailable
from scraping.sources import make_source
from scraping.sources.api import MOST_BYTES
from scraping.sources.flickr import FlickrSource
from scraping.sources.inaturalist import INaturalistSource
from scraping.sources.licenses import creative_commons
from scraping.sources.wikimedia import WikimediaSource
from tellapart.names import parse_class_name

CAT = parse_class_name("cat")
MARCH = date(2026, 3, 1)
SOURCES = {"wikimedia": WikimediaSource, "inaturalist": INaturalistSource, "flickr": FlickrSource}
BOMB = gzip.compress(b" " * (MOST_BYTES + 1))
PATHS = {"wikimedia": "/w/api.php", "inaturalist": "/v1/observations", "flickr": "/services/rest"}


@pytest.fixture
def waits() -> list[float]:
    """The seconds that sources waited, without waiting them."""
    return []


@pytest.fixture
def local(settings, site):
    """Settings under which the three sites are the stand-in."""
    return replace(
        settings,
        wikimedia_url=f"{site.url}/w/api.php",
        inaturalist_url=f"{site.url}/v1",
        flickr_url=f"{site.url}/services/rest",
        flickr_key="a key",
    )


@pytest.fixture
def make(local, site, waits):
    """Let a stand-in answer with a function of the request (an object, or a response), and make its source."""
    made = []

    def build(name: str, answer: Callable[[Request], object], since: date | None = None):
        def respond(request: Request) -> Response:
            found = answer(request)
            return found if isinstance(found, Response) else Response(json.dumps(found), mimetype="application/json")

        site.on(PATHS[name], respond)
        made.append(SOURCES[name](local, since, sleep=waits.append))
        return made[-1]

    yield build
    for source in made:
        source.close()


def commons_page(number: int, index: int = 1, **info: object) -> dict[str, object]:
    where = "https://upload.example.org/commons"
    return {
        "pageid": number,
        "ns": 6,
        "title": f"File:Cat {number}.jpg",
        "index": index,
        "imagerepository": "local",
        "imageinfo": [
            {
                "size": 2_000_000,
                "width": 4000,
                "height": 3000,
                "thumburl": f"{where}/thumb/{number}.jpg/960px-{number}.jpg",
                "thumbwidth": 960,
                "thumbheight": 720,
                "url": f"{where}/{number}.jpg",
                "descriptionurl": f"https://commons.example.org/wiki/File:Cat_{number}.jpg",
                "sha1": "a" * 40,
                "mime": "image/jpeg",
                "timestamp": "2026-03-05T12:00:00Z",
                "extmetadata": {
                    "LicenseShortName": {"value": "CC BY-SA 4.0", "source": "commons-desc-page", "hidden": ""},
                    "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0", "hidden": ""},
                    "Artist": {"value": '<a href="//commons.example.org/User:Ann">Ann &amp;\nBob</a>'},
                },
            }
            | info
        ],
    }


def observation(number: int, *codes: str | None, **changes: object) -> dict[str, object]:
    photos = [
        {
            "id": number * 10 + place,
            "license_code": code,
            "original_dimensions": {"width": 2048, "height": 1536},
            "url": f"https://photos.example.org/photos/{number}{place}/square.jpg",
            "attribution": f"(c) Ann, some rights reserved ({code})",
        }
        for place, code in enumerate(codes)
    ]
    return {
        "id": number,
        "uri": f"https://observations.example.org/{number}",
        "species_guess": "Domestic Cat",
        "user": {"id": 1, "login": "ann1", "name": "Ann"},
        "photos": photos,
    } | changes


def photo(number: int, **changes: object) -> dict[str, object]:
    return {
        "id": str(number),
        "owner": "12345@N00",
        "secret": "s",
        "server": "65535",
        "farm": 66,
        "title": f"Cat {number}",
        "ispublic": 1,
        "license": "4",
        "ownername": "Ann",
        "url_l": f"https://live.example.org/{number}_b.jpg",
        "height_l": 683,
        "width_l": 1024,
    } | changes


def photos(found: list[dict[str, object]], page: int = 1, pages: int = 1) -> dict[str, object]:
    return {"photos": {"page": page, "pages": pages, "perpage": 100, "total": 1, "photo": found}, "stat": "ok"}


def numbered(name: str, number: int) -> dict[str, object]:
    """One page's worth of an answer with one picture."""
    return {
        "wikimedia": {"batchcomplete": True, "query": {"pages": [commons_page(number)]}},
        "inaturalist": {"total_results": 1, "page": 1, "per_page": 100, "results": [observation(number, "cc0")]},
        "flickr": photos([photo(number)]),
    }[name]


NOTHING = {
    "wikimedia": {"batchcomplete": True},
    "inaturalist": {"total_results": 0, "page": 1, "per_page": 100, "results": []},
    "flickr": photos([], pages=0),
}


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


def test_inaturalist_gives_one_licensed_photo_of_each_observation(make, site):
    found_ones = [observation(1, None, "cc-by-nc", "cc0"), observation(2, None), observation(3, "cc0", user=None)]
    source = make("inaturalist", lambda _: {"results": found_ones})
    first, second = source.search(CAT, "Felis catus")
    assert first.url == "https://photos.example.org/photos/11/large.jpg"
    assert first.page_url == "https://observations.example.org/1"
    assert (first.license, first.license_url) == ("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/")
    assert (first.author, first.title) == ("Ann", "Domestic Cat")
    assert first.attribution == "(c) Ann, some rights reserved (cc-by-nc)"
    assert (second.license, second.author, second.rank) == ("CC0 1.0", "", 1)
    asked = site.requests[0].args
    assert (asked["taxon_name"], asked["photos"], asked["id_above"]) == ("Felis catus", "true", "0")
    assert "cc-by-nc" in asked["photo_license"].split(",")


def test_inaturalist_goes_on_above_the_last_number(make, site, waits):
    def answer(request: Request) -> object:
        above = int(request.args["id_above"])
        numbers = range(above + 1, min(above + 100, 150) + 1)
        return {"results": [observation(n, "cc0") for n in numbers]}

    found = list(make("inaturalist", answer).search(CAT, "cat"))
    assert [c.rank for c in found] == list(range(150))
    assert [request.args["id_above"] for request in site.requests] == ["0", "100"]
    assert len(waits) == 1
    assert 0.5 < waits[0] <= 1.0


def test_inaturalist_searches_by_words_where_no_taxon_has_the_name(make, site):
    source = make(
        "inaturalist", lambda request: numbered("inaturalist", 1) if "q" in request.args else NOTHING["inaturalist"]
    )
    assert len(list(source.search(CAT, "spotted thing"))) == 1
    assert [r.args.get("q") for r in site.requests] == [None, "spotted thing"]


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


def test_inaturalist_since_a_day_asks_for_what_was_reported_since(make, site):
    source = make("inaturalist", lambda _: numbered("inaturalist", 1), MARCH)
    assert len(list(source.search(CAT, "Felis catus"))) == 1
    (asked,) = site.requests
    assert (asked.args["taxon_name"], asked.args["created_d1"]) == ("Felis catus", "2026-03-01")
    assert not source.remembered


@pytest.mark.parametrize(
    ("known", "asked"), [(True, ["taxon_name", "taxon_name"]), (False, ["taxon_name"] * 2 + ["q"])]
)
def test_inaturalist_searches_no_words_for_a_taxon_that_has_only_older_ones(make, site, known, asked):
    def answer(request: Request) -> object:
        older = known and "created_d1" not in request.args
        return numbered("inaturalist", 1) if older else NOTHING["inaturalist"]

    with pytest.raises(NoResults):
        list(make("inaturalist", answer, MARCH).search(CAT, "Felis catus"))
    assert [next(how for how in ("taxon_name", "q") if how in r.args) for r in site.requests] == asked


def test_flickr_since_a_day_asks_for_what_was_uploaded_since(make, site):
    source = make("flickr", lambda _: numbered("flickr", 1), MARCH)
    assert len(list(source.search(CAT, "cat"))) == 1
    assert site.requests[0].args["min_upload_date"] == "1772323200"
    assert not source.remembered


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
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=9))
    answers = [Response("", 429, {"Retry-After": "7"}), Response("", 503, {"Retry-After": soon}), numbered(name, 1)]
    source = make(name, lambda _: answers.pop(0))
    assert len(list(source.search(CAT, "cat"))) == 1
    asked_for = [seconds for seconds in waits if seconds > 1]
    assert asked_for == [7.0, pytest.approx(8.5, abs=1)]


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
