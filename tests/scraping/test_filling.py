"""How a class is filled: hosts share it, searches go on, redirects are written down."""

import asyncio
from collections import Counter
from urllib.parse import urlsplit

import pytest
from werkzeug.utils import redirect

from scraping.asking import Asker
from scraping.collect import collect
from scraping.fetch import Fetcher
from scraping.filling import Filling
from scraping.host_share import HostShare, host_of
from scraping.intake import Intake
from scraping.limits import FetchLimits
from tellapart.addresses import Network
from tellapart.progress import silent


@pytest.fixture
def on_host(site, make_photo):
    """Addresses of so many new pictures on a host; both hosts there are mean this machine."""
    seeds = iter(range(1000))

    def make(host: str, count: int) -> list[str]:
        pictures = [(seed, make_photo(seed)) for seed, _ in zip(seeds, range(count), strict=False)]
        return [site.serve(f"/{seed}", data).replace("127.0.0.1", host) for seed, data in pictures]

    return make


@pytest.fixture
def fill(make_dataset, settings):
    """Fill the class "cat" from sources on the web, where this machine stands for all hosts."""

    def run(per_class, *sources):
        dataset = make_dataset("cat", "dog")
        asyncio.run(_fill(dataset, settings, per_class, sources))
        return dataset

    return run


async def _fill(dataset, settings, per_class, sources):
    network = Network(admits=lambda address, _: address.is_loopback)
    async with Fetcher(settings, FetchLimits(delay=0), network=network) as fetcher:
        with Intake(dataset, fetcher) as intake:
            filling = Filling(dataset.classes[0], (), dataset.manifest, intake, per_class, silent)
            await filling.run([Asker(source) for source in sources], asyncio.Semaphore(1))


def hosts(dataset) -> Counter:
    return Counter(host_of(row.url) for row in dataset.manifest.kept("cat"))


@pytest.fixture
def web_source(list_source):
    def make(addresses, name="list", **options):
        source = list_source({"cat": addresses}, name=name, **options)
        source.local = False
        return source

    return make


def test_no_host_gives_more_than_its_share_while_others_have_pictures(fill, web_source, on_host):
    first = web_source(on_host("localhost", 20), "first")
    second = web_source([*on_host("localhost", 3), *on_host("127.0.0.1", 20)], "second")
    dataset = fill(10, first, second)
    assert hosts(dataset) == {"localhost": 7, "127.0.0.1": 3}
    assert hosts(fill(10, first, second)) == hosts(dataset)


def test_a_class_that_one_host_alone_has_is_filled_from_it(fill, web_source, on_host):
    source = web_source(on_host("localhost", 30))
    dataset = fill(10, source)
    assert hosts(dataset) == {"localhost": 10}
    assert source.yielded == 10


def test_what_was_held_back_comes_last(fill, web_source, on_host):
    crowd, rest = on_host("localhost", 5), on_host("127.0.0.1", 2)
    dataset = fill(5, web_source([*crowd, *rest]))
    assert hosts(dataset) == {"localhost": 5}  # one may come, and with 4 held back no more is looked for
    assert sorted(row.url for row in fill(6, web_source([*crowd, *rest])).manifest.kept("cat")) == sorted(
        [*crowd, rest[0]]
    )


def test_what_was_held_back_and_is_found_again_is_fetched_once(fill, web_source, on_host, site):
    pictures = on_host("localhost", 4)
    missing = [f"{site.url}/nowhere/{n}".replace("127.0.0.1", "localhost") for n in range(3)]
    first, second = web_source([*missing, *pictures], "first"), web_source(pictures, "second")
    dataset = fill(10, first, second)
    assert {row.url for row in dataset.manifest.kept("cat")} == set(pictures)
    assert all(site.asked[urlsplit(url).path] == 1 for url in pictures)


def test_where_held_back_pictures_fail_the_search_goes_on(fill, web_source, on_host, site):
    missing = [f"{site.url}/nowhere/{n}" for n in range(8)]
    source = web_source([*missing, *on_host("127.0.0.1", 6)])
    assert len(fill(6, source).manifest.kept("cat")) == 6


def test_a_search_with_candidates_that_were_not_tried_is_not_finished(fill, web_source, on_host):
    first, second = web_source(on_host("localhost", 9), "first"), web_source(on_host("127.0.0.1", 3), "second")
    assert fill(10, first, second).manifest.finished_searches() == {("cat", "second", "cat")}
    assert fill(15, first, second).manifest.finished_searches() == {("cat", "first", "cat"), ("cat", "second", "cat")}


def test_a_search_that_is_not_remembered_is_asked_again_and_not_written_down(fill, web_source, on_host):
    pictures = on_host("127.0.0.1", 4)
    assert len(fill(10, web_source(pictures)).manifest.finished_searches()) == 1
    forgotten = web_source(pictures, remembered=False)
    fill(10, forgotten)
    assert fill(10, web_source(pictures, "other", remembered=False)).manifest.finished_searches() == {
        ("cat", "list", "cat")
    }
    assert forgotten.asked == ["cat"]


def test_shares_are_counted_by_host():
    share = HostShare(10, ["http://a.org/1", "http://a.org/2", "file:///x", "file:///y", "file:///z", "file:///w"])
    assert share.has_room("http://a.org/3")
    share.take("http://A.org/3")
    assert not share.has_room("http://a.org/4")
    assert share.has_room("http://b.org/4")
    assert share.has_room("file:///v")
    share.give_back("http://a.org/3")
    assert share.has_room("http://a.org/4")
    assert HostShare(2, []).has_room("http://a.org/1")
    assert host_of("http://[broken") == ""


def test_the_addresses_a_picture_was_sent_on_to_are_written_down(make_dataset, settings, site, list_source, make_photo):
    last = site.serve("/last", make_photo(1))
    middle = site.on("/middle", lambda _: redirect(last))
    first = site.on("/first", lambda _: redirect(middle))
    dataset = make_dataset("cat", "dog")
    collect(dataset, [list_source({"cat": [first], "dog": [site.serve("/dog", make_photo(2))]})], 1, settings, silent)
    assert dataset.manifest.kept("cat")[0].redirects == f"{middle} {last}"
    assert dataset.manifest.kept("dog")[0].redirects == ""
