"""Sources that ask an API, at a stand-in for their site."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from werkzeug.wrappers import Request, Response

from scraping.sources.flickr import FlickrSource
from scraping.sources.inaturalist import INaturalistSource
from scraping.sources.wikimedia import WikimediaSource

SOURCES = {"wikimedia": WikimediaSource, "inaturalist": INaturalistSource, "flickr": FlickrSource}
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
