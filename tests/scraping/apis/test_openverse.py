"""The Openverse source against a stand-in that answers in the API's recorded shapes."""

import json
import socket
from dataclasses import replace

import pytest
from werkzeug.wrappers import Request, Response

from scraping.collect import collect
from scraping.source import LayoutChanged, NoResults, Unavailable
from scraping.sources.openverse import PAGE_SIZE, OpenverseSource
from tellapart.names import parse_class_name
from tellapart.progress import silent

CAT = parse_class_name("tabby cat")


def result(number: int, **changes: object) -> dict[str, object]:
    """One result with the fields the API's documentation gives an image."""
    identity = f"8624ba61-57f1-4f98-8a85-{number:012}"
    return {
        "id": identity,
        "title": f"Cat {number}",
        "indexed_on": "2022-06-25T05:31:16.163385Z",
        "foreign_landing_url": f"https://photos.example.org/photos/someone/{number}",
        "url": f"https://live.example.org/{number}.jpg",
        "creator": "Someone",
        "creator_url": "https://photos.example.org/photos/someone",
        "license": "by-sa",
        "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by-sa/2.0/",
        "provider": "flickr",
        "source": "flickr",
        "category": None,
        "filesize": None,
        "filetype": None,
        "tags": [{"accuracy": None, "name": "cat", "unstable__provider": "flickr"}],
        "attribution": f'"Cat {number}" by Someone is licensed under CC BY-SA 2.0.',
        "fields_matched": ["title"],
        "mature": False,
        "height": 683,
        "width": 1024,
        "thumbnail": f"https://api.openverse.org/v1/images/{identity}/thumb/",
        "detail_url": f"https://api.openverse.org/v1/images/{identity}/",
        "related_url": f"https://api.openverse.org/v1/images/{identity}/related/",
        "unstable__sensitivity": [],
    } | changes


@pytest.fixture
def openverse(site, settings):
    """A function that makes the stand-in answer with these results, and the source that asks it."""

    def make(results: list[dict[str, object]]) -> OpenverseSource:
        def answer(request: Request) -> Response:
            page, size = int(request.args["page"]), int(request.args["page_size"])
            found = {
                "result_count": len(results),
                "page_count": -(-len(results) // size),
                "page_size": size,
                "page": page,
                "results": results[(page - 1) * size : page * size],
            }
            return Response(json.dumps(found), mimetype="application/json")

        site.on("/v1/images/", answer)
        return OpenverseSource(replace(settings, openverse_url=site.url + "/v1"))

    return make


def test_a_result_carries_licence_author_and_attribution(openverse, site):
    source = openverse([result(1)])
    (found,) = source.search(CAT, "tabby cat")
    assert (found.url, found.page_url) == (
        "https://live.example.org/1.jpg",
        "https://photos.example.org/photos/someone/1",
    )
    assert (found.license, found.license_url) == ("CC BY-SA 2.0", "https://creativecommons.org/licenses/by-sa/2.0/")
    assert (found.author, found.title) == ("Someone", "Cat 1")
    assert found.attribution == '"Cat 1" by Someone is licensed under CC BY-SA 2.0.'
    assert (found.source, found.query, found.rank) == ("openverse", "tabby cat", 0)
    assert site.requests[0].args["q"] == "tabby cat"
    assert site.requests[0].headers["User-Agent"].startswith("tellapart/")
    source.close()


def test_pages_are_asked_to_the_end_and_only_when_needed(openverse, site):
    source = openverse([result(n) for n in range(2 * PAGE_SIZE + 1)])
    search = source.search(CAT, "cat")
    for _ in range(PAGE_SIZE):
        next(search)
    assert site.asked["/v1/images/"] == 1
    assert [candidate.rank for candidate in search] == list(range(PAGE_SIZE, 2 * PAGE_SIZE + 1))
    assert site.asked["/v1/images/"] == 3
    source.close()


def test_fields_may_be_null(openverse):
    public = result(
        2, license="cc0", license_version="1.0", title=None, creator=None, attribution=None, license_url=None
    )
    source = openverse([result(1, url=None), public])
    (found,) = source.search(CAT, "cat")
    assert (found.license, found.author, found.title, found.attribution, found.rank) == ("CC0 1.0", "", "", "", 0)
    source.close()


def test_nothing_found(openverse):
    source = openverse([])
    with pytest.raises(NoResults, match="openverse has nothing for 'cat'"):
        list(source.search(CAT, "cat"))
    source.close()


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "words"),
    [
        (
            429,
            {"Retry-After": "3600"},
            b"{}",
            Unavailable,
            "asks to slow down (HTTP status 429). Run the same command again in 3600 seconds",
        ),
        (429, {}, b"{}", Unavailable, "again later"),
        (401, {}, b'{"detail": "Unauthorized"}', Unavailable, "refused the request (HTTP status 401)"),
        (503, {}, b"", Unavailable, "HTTP status 503"),
        (200, {}, b"<html>", LayoutChanged, "a form this program does not know: no JSON"),
        (200, {}, b'{"items": []}', LayoutChanged, "a form this program does not know: something is missing"),
        (200, {}, b'{"results": [1], "page_count": 1}', LayoutChanged, "something is missing or of another kind"),
    ],
)
def test_refusals_are_one_line(site, settings, status, headers, body, error, words):
    site.serve("/v1/images/", body, status=status, headers=headers)
    source = OpenverseSource(replace(settings, openverse_url=site.url + "/v1"), sleep=[].append)
    with pytest.raises(error) as caught:
        list(source.search(CAT, "cat"))
    source.close()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreachable(site, settings):
    source = OpenverseSource(replace(settings, openverse_url="http://127.0.0.1:1/v1"))
    with pytest.raises(Unavailable, match=r"openverse cannot be reached at http://127\.0\.0\.1:1/v1") as caught:
        list(source.search(CAT, "cat"))
    assert "nobody answers there. Check the connection, or use a source that needs none: gallery" in str(caught.value)
    source.close()


def test_without_a_network_no_number_of_an_error_is_shown(settings, monkeypatch):
    def offline(*_args, **_options):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    source = OpenverseSource(replace(settings, openverse_url="http://nowhere.test/v1"))
    with pytest.raises(Unavailable, match=r"its name cannot be looked up, as where there is no network\.") as caught:
        list(source.search(CAT, "cat"))
    assert "Errno" not in str(caught.value)
    source.close()


def test_a_depth_the_api_does_not_give_ends_the_search(openverse, site):
    source = openverse([result(n) for n in range(PAGE_SIZE + 1)])
    whole = site.answers["/v1/images/"]
    site.on("/v1/images/", lambda request: whole(request) if request.args["page"] == "1" else Response(status=404))
    assert len(list(source.search(CAT, "cat"))) == PAGE_SIZE
    source.close()


def test_licences_reach_the_manifest(openverse, site, make_dataset, settings, make_photo):
    source = openverse([result(n, url=site.serve(f"/{n}.jpg", make_photo(n))) for n in range(2)])
    source.local = True
    dataset = make_dataset("cat", "dog")
    collect(dataset, [source], 1, settings, silent)
    row = dataset.manifest.kept("cat")[0]
    assert (row.license, row.author) == ("CC BY-SA 2.0", "Someone")
    assert row.attribution == '"Cat 0" by Someone is licensed under CC BY-SA 2.0.'
