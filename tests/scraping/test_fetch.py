"""The fetcher against a stand-in site that misbehaves in every way it must survive."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from scraping.failures import FetchFailed, seconds_to_wait
from scraping.fetch import Fetcher
from scraping.hosts import Clock
from scraping.limits import FetchLimits
from tellapart.addresses import is_public
from tellapart.pictures import Reason, Status
from tellapart.settings import Settings

LIMITS = FetchLimits(max_bytes=1000, connect_timeout=60, total_timeout=60, tries=3, backoff=0.01)


class Naps:
    """Stands in for sleep: takes no time, moves the clock, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.clock = Clock(lambda: sum(self.seconds), self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def fetch(
    settings: Settings,
    url: str,
    limits: FetchLimits = LIMITS,
    local: bool = True,
    naps: Naps | None = None,
) -> bytes:
    async def run() -> bytes:
        async with Fetcher(settings, limits, (naps or Naps()).clock) as fetcher:
            return (await fetcher.fetch(url, local)).data

    return asyncio.run(run())


def failure(*arguments: Any, **options: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetch(*arguments, **options)
    return caught.value


def test_gives_the_bytes_and_says_who_asks(site, settings):
    url = site.serve("/a.png", b"the bytes")
    assert fetch(settings, url) == b"the bytes"
    agent = site.requests[0].headers["User-Agent"]
    assert agent.startswith("tellapart/")
    assert "someone@example.org" in agent


@pytest.mark.parametrize(
    ("status", "reason", "settled", "requests"),
    [
        (404, Reason.NOT_FOUND, Status.REJECTED, 1),
        (410, Reason.NOT_FOUND, Status.REJECTED, 1),
        (403, Reason.FORBIDDEN, Status.FAILED, 1),
        (401, Reason.FORBIDDEN, Status.FAILED, 1),
        (418, Reason.HTTP_ERROR, Status.FAILED, 1),
        (206, Reason.HTTP_ERROR, Status.FAILED, 1),
        (408, Reason.TIMEOUT, Status.FAILED, 3),
        (429, Reason.RATE_LIMITED, Status.FAILED, 3),
        (500, Reason.HTTP_ERROR, Status.FAILED, 3),
        (503, Reason.HTTP_ERROR, Status.FAILED, 3),
    ],
)
def test_error_status(site, settings, status, reason, settled, requests):
    found = failure(settings, site.serve("/a.png", b"no", status=status))
    assert (found.reason, found.status) == (reason, settled)
    assert site.asked["/a.png"] == requests


def test_a_fault_that_passes_is_tried_again(site, settings):
    url = site.on("/a.png", lambda _: Response(b"yes", status=200 if site.asked["/a.png"] == 3 else 503))
    naps = Naps()
    assert fetch(settings, url, naps=naps) == b"yes"
    assert 0.01 <= naps.seconds[0] <= 0.02 <= naps.seconds[1] <= 0.04


@pytest.mark.parametrize(("asked", "slept"), [("7", 7), ("100000", 20), ("soon", 0.01)])
def test_retry_after_is_honoured_up_to_a_limit(site, settings, asked, slept):
    url = site.serve("/a.png", b"", status=429, headers={"Retry-After": asked})
    naps = Naps()
    failure(settings, url, naps=naps)
    assert sum(naps.seconds) == pytest.approx(2 * slept, abs=0.04)


def test_retry_after_may_be_a_date():
    when = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 1800 < seconds_to_wait(when) <= 3600
    assert seconds_to_wait("Thu, 01 Jan 1970 00:00:00 GMT") == 0


def test_a_site_that_hangs_times_out(site, settings):
    def hang(_: object) -> Response:
        site.release.wait(20)
        return Response(b"late")

    limits = FetchLimits(total_timeout=0.2)
    found = failure(settings, site.on("/a.png", hang), limits)
    assert (found.reason, found.status) == (Reason.TIMEOUT, Status.FAILED)


def test_more_bytes_than_allowed_are_not_read(site, settings):
    announced = site.serve("/a.png", b"x" * 1001)
    streamed = site.on("/b.png", lambda _: Response(iter([b"x" * 600] * 4)))
    assert fetch(settings, site.serve("/c.png", b"x" * 1000)) == b"x" * 1000
    for url in (announced, streamed):
        found = failure(settings, url)
        assert (found.reason, found.status) == (Reason.TOO_LARGE, Status.REJECTED)


def test_a_body_that_is_cut_off_is_not_taken_for_whole(site, settings):
    url = site.on("/a.png", lambda _: Response(iter([b"half"]), headers={"Content-Length": "900"}))
    found = failure(settings, url)
    assert (found.reason, found.status) == (Reason.TRUNCATED, Status.FAILED)
    assert site.asked["/a.png"] == 3


def test_five_redirects_are_followed_and_six_are_not(site, settings):
    for number in range(6):
        site.serve(f"/{number}", b"", status=302, headers={"Location": f"/{number + 1}"})
    site.serve("/6", b"there")
    assert fetch(settings, site.url + "/1") == b"there"
    assert failure(settings, site.url + "/0").reason == Reason.TOO_MANY_REDIRECTS


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://10.1.2.3/a.png", Reason.REFUSED_ADDRESS),
        ("http://169.254.169.254/latest/meta-data", Reason.REFUSED_ADDRESS),
        ("http://[::ffff:127.0.0.1]/a.png", Reason.REFUSED_ADDRESS),
        ("http://0.0.0.0/a.png", Reason.REFUSED_ADDRESS),
        ("file:///etc/passwd", Reason.BAD_URL),
        ("ftp://example.org/a.png", Reason.BAD_URL),
        ("mailto:someone@example.org", Reason.BAD_URL),
        ("", Reason.BAD_URL),
    ],
)
def test_a_redirect_is_checked_like_an_address(site, settings, target, reason):
    found = failure(settings, site.serve("/a.png", b"", status=302, headers={"Location": target}))
    assert (found.reason, found.status) == (reason, Status.REJECTED)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433"])
def test_loopback_is_for_local_sources_only(site, settings, host):
    url = site.serve("/a.png", b"secret").replace("127.0.0.1", host)
    assert failure(settings, url, local=False).status == Status.REJECTED
    assert not site.asked


def test_a_name_that_resolves_to_loopback_is_refused_at_connect(site, settings):
    found = failure(settings, site.serve("/a.png", b"secret").replace("127.0.0.1", "localhost"), local=False)
    assert found.reason == Reason.REFUSED_ADDRESS


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://",
        "mailto:a@b.c",
        "http://a:99999/",
        "file:///etc/passwd",
        "http://\x00/",
        f"http://{'a' * 70}.test/",
    ],
)
def test_what_is_no_web_address(settings, url):
    found = failure(settings, url, local=False)
    assert (found.reason, found.status) == (Reason.BAD_URL, Status.REJECTED)


def test_nobody_listens(site, settings):
    url = site.url
    site.close()
    site.close = lambda: None
    assert failure(settings, url + "/a.png").reason == Reason.UNREACHABLE


def test_a_slow_host_is_asked_for_few_things_at_once_and_holds_up_no_other(site, settings):
    def hang(_: object) -> Response:
        site.release.wait(20)
        return Response(b"late")

    slow = [site.on(f"/slow/{n}", hang) for n in range(9)]
    quick = site.serve("/quick", b"quick").replace("127.0.0.1", "localhost")

    async def run() -> None:
        async with Fetcher(settings, FetchLimits(per_host=3, concurrency=4)) as fetcher, asyncio.TaskGroup() as tasks:
            for url in slow:
                tasks.create_task(fetcher.fetch(url, True))
            await asyncio.sleep(0)
            assert (await fetcher.fetch(quick, True)).data == b"quick"
            assert site.asked.total() <= 3 + 1
            site.release.set()

    asyncio.run(run())
    assert site.asked.total() == 9 + 1


def test_files_are_read_for_local_sources(settings, tmp_path: Path):
    (tmp_path / "ä b%20#?.png").write_bytes(b"bytes")
    (tmp_path / "big.png").write_bytes(b"x" * 1001)
    (tmp_path / "folder").mkdir()
    assert fetch(settings, (tmp_path / "ä b%20#?.png").as_uri()) == b"bytes"
    assert failure(settings, (tmp_path / "big.png").as_uri()).reason == Reason.TOO_LARGE
    assert failure(settings, (tmp_path / "gone.png").as_uri()).reason == Reason.NOT_FOUND
    assert failure(settings, (tmp_path / "folder").as_uri()).reason == Reason.UNREADABLE


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("0.0.0.0", False),
        ("192.88.99.1", False),
        ("192.0.0.192", False),
        ("198.18.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff0e::1", False),
        ("::ffff:93.184.215.14", False),
        ("::93.184.215.14", False),
        ("64:ff9b::5db8:d70e", False),
        ("64:ff9b:1::1", False),
        ("2002:5db8:d70e::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("::ffff:0:7f00:1", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(ip_address(address)) is public
