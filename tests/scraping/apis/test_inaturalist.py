"""iNaturalist, asked at a stand-in."""

from datetime import date

import pytest
from werkzeug.wrappers import Request

from scraping.source import NoResults
from scraping.sources import inaturalist
from tellapart.names import parse_class_name
from tests.scraping.apis.answers import NOTHING, numbered, observation

CAT = parse_class_name("cat")
MARCH = date(2026, 3, 1)


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


def test_inaturalist_goes_on_above_the_last_number(make, site):
    def answer(request: Request) -> object:
        above = int(request.args["id_above"])
        numbers = range(above + 1, min(above + 100, 150) + 1)
        return {"results": [observation(n, "cc0") for n in numbers]}

    found = list(make("inaturalist", answer).search(CAT, "cat"))
    assert [c.rank for c in found] == list(range(150))
    assert [request.args["id_above"] for request in site.requests] == ["0", "100"]


def test_inaturalist_is_given_a_rest_between_requests(make, waits, monkeypatch):
    monkeypatch.setattr(inaturalist, "SECONDS_BETWEEN_REQUESTS", 3600.0)
    source = make("inaturalist", lambda _: NOTHING["inaturalist"])
    with pytest.raises(NoResults):
        list(source.search(CAT, "cat"))
    assert waits == [pytest.approx(3600, rel=0.1)]


def test_inaturalist_searches_by_words_where_no_taxon_has_the_name(make, site):
    source = make(
        "inaturalist", lambda request: numbered("inaturalist", 1) if "q" in request.args else NOTHING["inaturalist"]
    )
    assert len(list(source.search(CAT, "spotted thing"))) == 1
    assert [r.args.get("q") for r in site.requests] == [None, "spotted thing"]


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
