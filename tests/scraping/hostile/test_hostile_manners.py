"""What the fetcher owes a web site: its robots.txt, X-Robots-Tag, few requests, and peace when it is failing."""

import asyncio
from dataclasses import replace
from threading import Event

import pytest

from scraping.failures import FetchFailed
from tellapart.pictures import Reason, Status
from tests.scraping.hostile.site import LIMITS, HostileSite, http, once, then

ALL = b"User-agent: *\nDisallow: /\n"
MINE = b"User-agent: tellapart\nDisallow: /\n"
MOVED = http(b"", "301 Moved", "Location: http://robots_all.test:PORT/robots.txt")
REJECTED, FAILED, KEPT = Status.REJECTED, Status.FAILED, Status.KEPT

ROBOTS = {
    "robots_absent": (http(b"", "404 Not Found"), Reason.OK, KEPT),
    "robots_hidden": (http(b"", "403 Forbidden"), Reason.OK, KEPT),
    "robots_empty": (http(b""), Reason.OK, KEPT),
    "robots_all": (http(ALL), Reason.ROBOTS, REJECTED),
    "robots_mine": (http(MINE), Reason.ROBOTS, REJECTED),
    "robots_marked": (http(b"\xef\xbb\xbf" + ALL), Reason.ROBOTS, REJECTED),
    "robots_page": (http(b"User-agent: *\nDisallow: /*.jpg$\n"), Reason.ROBOTS, REJECTED),
    "robots_others": (http(b"User-agent: otherbot\nDisallow: /\n"), Reason.OK, KEPT),
    "robots_mine_may": (http(ALL + b"User-agent: tellapart\nAllow: /\n"), Reason.OK, KEPT),
    "robots_elsewhere": (http(b"User-agent: *\nDisallow: /private\n"), Reason.OK, KEPT),
    "robots_noise": (http(bytes(range(256)) * 40), Reason.OK, KEPT),
    "robots_html": (http(b"<html>Disallow: nothing at all</html>"), Reason.OK, KEPT),
    "robots_endless": (then(http(ALL, length=-1), again=b"# more\n" * 999), Reason.ROBOTS, REJECTED),
    "robots_moved": (
        http(b"", "301 Moved", "Location: http://robots_all.test:PORT/robots.txt"),
        Reason.ROBOTS,
        REJECTED,
    ),
    "robots_loop": (http(b"", "302 Found", "Location: /robots.txt"), Reason.OK, KEPT),
    "robots_broken": (http(b"", "500 Oops"), Reason.HTTP_ERROR, FAILED),
    "robots_busy": (http(b"", "429 Too Many Requests"), Reason.RATE_LIMITED, FAILED),
    "robots_hang": (then(99.0), Reason.TIMEOUT, FAILED),
}


@pytest.fixture
def photo(make_photo) -> bytes:
    return make_photo(1, format="JPEG")


def with_robots(hostile: HostileSite, name: str, photo: bytes) -> None:
    for each, (behaviour, _, _) in ROBOTS.items():
        if isinstance(behaviour, bytes):
            behaviour = behaviour.replace(b"PORT", str(hostile.port).encode())  # noqa: PLW2901
        hostile.robots[each] = behaviour
    hostile.behaviours[name] = http(photo)


@pytest.mark.parametrize("name", ROBOTS)
def test_robots_txt(name, hostile, stranger, photo):
    with_robots(hostile, name, photo)
    _, reason, status = ROBOTS[name]
    limits = replace(LIMITS, robots_timeout=3) if name == "robots_hang" else LIMITS
    first, second = stranger.take(hostile.at(name), hostile.at(name, "/other.jpg"), limits=limits)
    assert (first.reason, first.status) == (reason, status), first.detail
    assert second.reason in (reason, Reason.DUPLICATE)
    assert hostile.asked[name] == (2 if status == KEPT else 0)
    assert hostile.asked[f"{name} robots"] == (6 if name == "robots_loop" else 1)
    assert "robots.txt" in first.detail or status == KEPT


def test_robots_txt_may_be_passed_over_where_the_owner_allows_it(hostile, stranger, photo):
    hostile.robots["mine"], hostile.behaviours["mine"] = http(ALL), http(photo)
    stranger.settings = replace(stranger.settings, robots=False)
    (row,) = stranger.take(hostile.at("mine"))
    assert (row.reason, hostile.asked["mine robots"]) == (Reason.OK, 0)


def test_a_source_on_this_machine_is_trusted_with_this_machine_only(hostile, stranger, photo):
    hostile.robots["far"] = hostile.robots["127.0.0.1"] = http(ALL)
    hostile.behaviours["127.0.0.1"] = http(photo)

    async def run() -> bytes:
        async with stranger.fetcher() as fetcher:
            with pytest.raises(FetchFailed, match=r"robots\.txt"):
                await fetcher.fetch(hostile.at("far"), local=True)
            return (await fetcher.fetch(f"http://127.0.0.1:{hostile.port}/a.jpg", local=True)).data

    assert asyncio.run(run()) == photo
    assert hostile.asked["127.0.0.1 robots"] == 0
    hostile.asked.clear()


def test_a_redirect_is_held_to_the_rules_of_where_it_leads(hostile, stranger, photo):
    hostile.robots["closed"], hostile.behaviours["closed"] = http(ALL), http(photo)
    hostile.behaviours["leads"] = http(b"", "302 Found", f"Location: {hostile.at('closed')}")
    (row,) = stranger.take(hostile.at("leads"))
    assert (row.reason, hostile.asked["closed"]) == (Reason.ROBOTS, 0)


def test_rules_that_could_not_be_read_are_asked_for_again_after_a_rest(hostile, stranger, photo):
    hostile.robots["recovers"], hostile.behaviours["recovers"] = http(b"", "503 Busy"), http(photo)

    async def run() -> bytes:
        async with stranger.fetcher() as fetcher:
            for _ in range(2):
                with pytest.raises(FetchFailed, match=r"robots\.txt: HTTP status 503"):
                    await fetcher.fetch(hostile.at("recovers"))
            assert hostile.asked["recovers robots"] == 1
            hostile.robots["recovers"] = http(b"")
            await stranger.clock.sleep(LIMITS.robots_rest)
            return (await fetcher.fetch(hostile.at("recovers"))).data

    assert asyncio.run(run()) == photo


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (["X-Robots-Tag: noai"], Reason.NOAI),
        (["X-Robots-Tag: noimageai"], Reason.NOAI),
        (["x-robots-tag: NOINDEX , NoAI"], Reason.NOAI),
        (["X-Robots-Tag: noindex", "X-Robots-Tag: noimageai"], Reason.NOAI),
        (["X-Robots-Tag: tellapart: noai"], Reason.NOAI),
        (["X-Robots-Tag: otherbot: noindex, tellapart: noai"], Reason.NOAI),
        (["X-Robots-Tag: otherbot: noai"], Reason.OK),
        (["X-Robots-Tag: otherbot: noindex, noai"], Reason.OK),
        (["X-Robots-Tag: noindex, nofollow"], Reason.OK),
        (["X-Robots-Tag: unavailable_after: 25 Jun 2010 15:00:00 PST, all"], Reason.OK),
        (["X-Robots-Tag: max-snippet:20, noindex, noai"], Reason.NOAI),
        (["X-Robots-Tag: "], Reason.OK),
    ],
)
def test_x_robots_tag(headers, reason, hostile, stranger, photo):
    hostile.behaviours["tagged"] = http(photo, "200 OK", *headers)
    (row,) = stranger.take(hostile.at("tagged"))
    assert row.reason == reason
    assert row.status == (KEPT if reason == Reason.OK else REJECTED)


def test_a_host_that_keeps_failing_is_left_alone_until_it_had_a_rest(hostile, stranger, photo):
    hostile.behaviours["ill"] = http(b"", "503 Busy")
    limits = replace(LIMITS, tries=1, circuit=4)

    async def reasons(fetcher, count: int) -> list[Reason]:
        found = []
        for n in range(count):
            try:
                await fetcher.fetch(hostile.at("ill", f"/{n}.jpg"))
                found.append(Reason.OK)
            except FetchFailed as failure:
                found.append(failure.reason)
        return found

    async def run() -> None:
        async with stranger.fetcher(limits) as fetcher:
            assert await reasons(fetcher, 7) == [Reason.HTTP_ERROR] * 4 + [Reason.CIRCUIT_OPEN] * 3
            assert hostile.asked["ill"] == 4
            await stranger.clock.sleep(limits.circuit_rest)
            assert await reasons(fetcher, 3) == [Reason.HTTP_ERROR] + [Reason.CIRCUIT_OPEN] * 2
            await stranger.clock.sleep(limits.circuit_rest)
            hostile.behaviours["ill"] = http(photo)
            assert await reasons(fetcher, 5) == [Reason.OK] * 5

    asyncio.run(run())


def test_a_host_is_the_same_whoever_is_named_before_it(hostile, stranger):
    hostile.behaviours["named"] = http(b"", "503 Busy")
    ann, bob = (hostile.at("named").replace("//", f"//{name}:secret@") for name in ("ann", "bob"))
    rows = stranger.take(ann, bob, limits=replace(LIMITS, tries=1, circuit=1))
    assert [row.reason for row in rows] == [Reason.HTTP_ERROR, Reason.CIRCUIT_OPEN]


def test_the_rules_of_very_many_sites_are_not_all_held(hostile, stranger, photo, monkeypatch):
    monkeypatch.setattr("scraping.robots.HELD_BYTES", 2000)
    names = [f"held{n}" for n in range(6)]
    for name in names:
        hostile.robots[name], hostile.behaviours[name] = http(b"# rules\n"), http(photo)

    async def run() -> list[int]:
        async with stranger.fetcher() as fetcher:
            for name in [*names, *reversed(names)]:
                await fetcher.fetch(hostile.at(name))
        return [hostile.asked[f"{name} robots"] for name in names]

    assert asyncio.run(run()) == [2, 2, 2, 1, 1, 1]


def test_after_the_rest_one_request_goes_ahead_of_the_others(hostile, stranger, photo):
    hostile.behaviours["frail"] = http(b"", "503 Busy")
    limits = replace(LIMITS, tries=1, circuit=1)

    async def run() -> list[object]:
        async with stranger.fetcher(limits) as fetcher:
            with pytest.raises(FetchFailed):
                await fetcher.fetch(hostile.at("frail"))
            release = Event()
            hostile.behaviours["frail"] = once(release, http(photo))
            await stranger.clock.sleep(limits.circuit_rest)
            wanted = [asyncio.create_task(fetcher.fetch(hostile.at("frail", f"/{n}.jpg"))) for n in range(2)]
            await asyncio.wait(wanted, return_when=asyncio.FIRST_COMPLETED)
            release.set()
            return await asyncio.gather(*wanted, return_exceptions=True)

    first, second = asyncio.run(run())
    assert first.data == photo
    assert (second.reason, hostile.asked["frail"]) == (Reason.CIRCUIT_OPEN, 2)


def test_answers_that_refuse_are_no_sign_of_failing(hostile, stranger):
    urls = [hostile.at("refuses", f"/{n}.jpg") for n in range(9)]
    hostile.behaviours["refuses"] = http(b"", "403 Forbidden")
    rows = stranger.take(*urls, limits=replace(LIMITS, circuit=3))
    assert {row.reason for row in rows} == {Reason.FORBIDDEN}


@pytest.mark.parametrize(("robots", "between"), [(b"", 0.05), (b"User-agent: *\nCrawl-delay: 0.1\n", 0.1)])
def test_requests_to_one_host_are_spaced(hostile, stranger, photo, robots, between):
    hostile.robots["paced"], hostile.behaviours["paced"] = http(robots), http(photo)
    stranger.clock.now = lambda: 0.0  # so each waits for its turn from the same moment

    async def run() -> None:
        async with stranger.fetcher(replace(LIMITS, delay=0.05)) as fetcher, asyncio.TaskGroup() as tasks:
            for n in range(5):
                tasks.create_task(fetcher.fetch(hostile.at("paced", f"/{n}.jpg")))

    asyncio.run(run())
    assert stranger.clock.slept == pytest.approx([0.05 + n * between for n in range(5)])


def test_a_wait_asked_for_holds_for_the_whole_host(hostile, stranger, photo):
    hostile.robots["paced"], hostile.behaviours["paced"] = http(b""), http(photo)
    hostile.behaviours["busy"] = http(b"", "429 Too Many Requests", "Retry-After: 9")
    stranger.clock.now = lambda: sum(stranger.clock.slept)

    async def run() -> None:
        async with stranger.fetcher(replace(LIMITS, tries=1)) as fetcher:
            for n in range(3):
                with pytest.raises(FetchFailed, match="HTTP status 429"):
                    await fetcher.fetch(hostile.at("busy", f"/{n}.jpg"))
            await fetcher.fetch(hostile.at("paced"))

    asyncio.run(run())
    assert sum(stranger.clock.slept) == pytest.approx(18, abs=0.05)
