"""How transfers go wrong: each behaviour of a hostile site, and what the manifest says of it."""

import gzip
import socket
import time
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scraping.limits import FetchLimits
from tellapart.pictures import Reason, Status
from tests.scraping.hostile.site import IMPATIENT, INSIDE, LIMITS, Behaviour, HostileSite, http, reset, then

PHOTO = b"<photo>"  # where a table says so, a real one is sent in its place
BOMB = gzip.compress(bytes(50_000_000), 9)


@dataclass(frozen=True)
class Case:
    """What a site does, and what is to come of it.

    Attributes:
        requests: how often it is asked for the picture.
        slept: seconds waited between the tries, in all.
        limits: where the site is waited for in vain.
    """

    behaviour: Behaviour
    reason: Reason
    status: Status = Status.FAILED
    requests: int = 1
    slept: float = 0
    limits: FetchLimits = LIMITS


def refusal(status: str, *headers: str) -> bytes:
    return http(b"no", status, *headers)


def to(target: str) -> bytes:
    return http(b"", "302 Found", f"Location: {target}")


def in_(seconds: float) -> str:
    """A point in time as headers say it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def late_date(seconds: float) -> Behaviour:
    """429 until a date, reckoned when the answer is given."""

    async def talk(writer) -> None:
        writer.write(refusal("429 Too Many Requests", f"Retry-After: {in_(seconds)}"))

    return talk


def slow_down(retry_after: str) -> bytes:
    return refusal("429 Too Many Requests", f"Retry-After: {retry_after}")


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks)


OPEN = http(b"", "200 OK", "Transfer-Encoding: chunked", length=-1)
REJECTED = Status.REJECTED

STATUS = {
    "retry_seconds": Case(slow_down("7"), Reason.RATE_LIMITED, requests=3, slept=14),
    "retry_date": Case(late_date(10.5), Reason.RATE_LIMITED, requests=3, slept=20),
    "retry_absent": Case(refusal("429 Too Many Requests"), Reason.RATE_LIMITED, requests=3),
    "retry_absurd": Case(slow_down("1" + "0" * 400), Reason.RATE_LIMITED, requests=3, slept=40),
    "retry_far_date": Case(slow_down("Fri, 31 Dec 9999 23:59:59 GMT"), Reason.RATE_LIMITED, requests=3, slept=40),
    "retry_past_date": Case(slow_down("Thu, 01 Jan 1970 00:00:00 GMT"), Reason.RATE_LIMITED, requests=3),
    "retry_no_date": Case(slow_down("Foo, 99 Bar 99999 99:99:99"), Reason.RATE_LIMITED, requests=3),
    "retry_negative": Case(slow_down("-5"), Reason.RATE_LIMITED, requests=3),
    "retry_on_503": Case(refusal("503 Busy", "Retry-After: 3"), Reason.HTTP_ERROR, requests=3, slept=6),
    "403": Case(refusal("403 Forbidden"), Reason.FORBIDDEN),
    "404": Case(refusal("404 Not Found"), Reason.NOT_FOUND, REJECTED),
    "408": Case(refusal("408 Request Timeout"), Reason.TIMEOUT, requests=3),
    "451": Case(refusal("451 Unavailable"), Reason.FORBIDDEN),
    "503": Case(refusal("503 Service Unavailable"), Reason.HTTP_ERROR, requests=3),
    "999": Case(refusal("999 Denied"), Reason.HTTP_ERROR),
}

BODY = {
    "hang_before_headers": Case(then(99.0), Reason.TIMEOUT, limits=IMPATIENT),
    "hang_in_headers": Case(then(b"HTTP/1.1 200 OK\r\nX-", 99.0), Reason.TIMEOUT, limits=IMPATIENT),
    "hang_in_the_body": Case(then(http(b"x" * 150_000, length=160_000), 99.0), Reason.TIMEOUT, limits=IMPATIENT),
    "a_byte_at_a_time": Case(then(http(length=9999), again=b"x", every=0.02), Reason.TOO_SLOW),
    # a connection that ends before any answer is tried once more by aiohttp itself
    "reset_at_once": Case(reset(), Reason.UNREACHABLE, requests=6),
    "nothing": Case(b"", Reason.UNREACHABLE, requests=6),
    "reset_in_the_body": Case(reset(http(b"half", length=900)), Reason.TRUNCATED, requests=3),
    "shorter_than_said": Case(http(b"half", length=900), Reason.TRUNCATED, requests=3),
    "longer_than_said": Case(http(PHOTO, length=60), Reason.HTTP_ERROR),
    "length_no_number": Case(http(b"x", "200 OK", "Content-Length: many", length=-1), Reason.HTTP_ERROR),
    "length_negative": Case(http(b"x", "200 OK", "Content-Length: -1", length=-1), Reason.HTTP_ERROR),
    "length_enormous": Case(http(b"x", length=10**18), Reason.TOO_LARGE, REJECTED),
    "endless_body": Case(then(http(length=-1), again=b"x" * 9999), Reason.TOO_LARGE, REJECTED),
    "endless_chunks": Case(then(OPEN, again=chunked(b"x" * 9999)), Reason.TOO_LARGE, REJECTED),
    "endless_headers": Case(then(b"HTTP/1.1 200 OK\r\n", again=b"X-A: " + b"b" * 999 + b"\r\n"), Reason.HTTP_ERROR),
    "broken_chunks": Case(OPEN + b"zz\r\nxx\r\n", Reason.HTTP_ERROR),
    "chunks_that_break": Case(
        then(OPEN, chunked(b"x" * 9999), 0.05, b"zz\r\nxx\r\n"), Reason.TIMEOUT, limits=IMPATIENT
    ),
    "gzip_bomb": Case(http(BOMB, "200 OK", "Content-Encoding: gzip"), Reason.TOO_LARGE, REJECTED),
    "deflate_bomb": Case(
        http(zlib.compress(bytes(50_000_000), 9), "200 OK", "Content-Encoding: deflate"), Reason.TOO_LARGE, REJECTED
    ),
    "gzip_in_gzip": Case(http(gzip.compress(BOMB), "200 OK", "Content-Encoding: gzip"), Reason.NOT_AN_IMAGE, REJECTED),
    "gzip_that_is_none": Case(http(b"plain", "200 OK", "Content-Encoding: gzip"), Reason.TRUNCATED, requests=3),
    "brotli_not_asked_for": Case(http(b"\x0b\x02\x80", "200 OK", "Content-Encoding: br"), Reason.HTTP_ERROR),
    "gzip_of_a_photo": Case(http(PHOTO, "200 OK", "Content-Encoding: gzip"), Reason.OK, Status.KEPT),
    "chunked_photo": Case(then(OPEN, PHOTO), Reason.OK, Status.KEPT),
    "no_http": Case(b"220 ftp.test ready\r\n\r\n", Reason.HTTP_ERROR),
}

REDIRECT = {
    "loop": Case(to("/picture.jpg"), Reason.TOO_MANY_REDIRECTS, REJECTED, requests=6),
    "to_loopback": Case(to(f"http://{INSIDE}:PORT/picture.jpg"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_a_name_inside": Case(to("http://inside.test:PORT/picture.jpg"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_metadata": Case(to("http://169.254.169.254/latest/meta-data"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_private": Case(to("http://10.0.0.1/picture.jpg"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_shared": Case(to("http://100.64.0.1/picture.jpg"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_mapped": Case(to("http://[::ffff:127.0.0.1]:PORT/picture.jpg"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_nat64": Case(to("http://[64:ff9b::7f00:1]:PORT/picture.jpg"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_any": Case(to("http://0.0.0.0:PORT/picture.jpg"), Reason.REFUSED_ADDRESS, REJECTED),
    "to_a_file": Case(to("file:///etc/passwd"), Reason.BAD_URL, REJECTED),
    "to_a_file_of_a_host": Case(to("file://127.0.0.1/etc/passwd"), Reason.BAD_URL, REJECTED),
    "to_data": Case(to("data:image/png;base64,AAAA"), Reason.BAD_URL, REJECTED),
    "to_nowhere": Case(to("http://nowhere.test/"), Reason.UNREACHABLE),
    "without_location": Case(http(b"", "302 Found"), Reason.BAD_URL, REJECTED),
    "to_a_photo": Case(to("http://photo.test:PORT/picture.jpg"), Reason.OK, Status.KEPT),
}


def play(case: Case, name: str, hostile: HostileSite, photo: bytes) -> None:
    """Let a site behave as a case says, with the real photograph and port in their places."""
    behaviour = case.behaviour
    if name == "chunked_photo":
        behaviour = OPEN + chunked(photo[:50], photo[50:], b"")
    elif name == "gzip_of_a_photo":
        behaviour = http(gzip.compress(photo), "200 OK", "Content-Encoding: gzip")
    elif isinstance(behaviour, bytes):
        behaviour = behaviour.replace(PHOTO, photo).replace(b"PORT", str(hostile.port).encode())
    hostile.behaviours[name] = behaviour
    hostile.behaviours["photo"] = http(photo)
    hostile.behaviours["inside"] = hostile.behaviours[INSIDE] = http(photo)


@pytest.mark.parametrize(
    ("name", "case"), [pytest.param(n, c, id=n) for n, c in {**STATUS, **BODY, **REDIRECT}.items()]
)
def test_what_a_hostile_site_does_ends_in_its_reason(name, case, hostile, stranger, make_photo):
    photo = make_photo(1, format="JPEG")
    play(case, name, hostile, photo)
    began = time.monotonic()
    inside = hostile.asked[INSIDE], hostile.asked["inside"]
    (row,) = stranger.take(hostile.at(name), limits=case.limits)
    assert (row.reason, row.status) == (case.reason, case.status), row.detail
    assert hostile.asked[name] == case.requests
    # a busy machine has spent some of the wait before it sleeps; a date is of whole seconds
    assert case.slept / 2 <= sum(stranger.clock.slept) < case.slept + (1.1 if "date" in name else 0.5)
    assert time.monotonic() - began < 80
    assert (hostile.asked[INSIDE], hostile.asked["inside"]) == inside
    if case.status == Status.KEPT:
        assert stranger.dataset.image_path(row).read_bytes() == photo


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://tls.test:{tls_port}/picture.jpg", Reason.BAD_TLS),  # nobody vouches for its certificate
        ("https://tls.test:{port}/picture.jpg", Reason.BAD_TLS),  # it speaks plain HTTP there
    ],
)
def test_a_connection_that_is_not_safe_is_none(address, reason, hostile, stranger, make_photo):
    hostile.behaviours["tls"] = http(make_photo(1))
    (row,) = stranger.take(address.format(port=hostile.port, tls_port=hostile.tls_port))
    assert (row.reason, row.status) == (reason, Status.FAILED), row.detail
    assert hostile.asked["tls"] == 0


def test_the_limits_are_those_that_were_promised():
    limits = FetchLimits()
    assert (limits.max_bytes, limits.redirects, limits.per_host) == (20 * 2**20, 5, 2)
    assert (limits.connect_timeout, limits.total_timeout) == (5, 30)


def test_a_site_that_takes_no_connections_is_given_up_soon(stranger):
    with socket.create_server(("127.8.8.8", 0), backlog=0) as deaf:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        began = time.monotonic()
        (row,) = stranger.take(
            f"http://deaf.test:{deaf.getsockname()[1]}/a.jpg", limits=replace(LIMITS, connect_timeout=0.3)
        )
        for one in waiting:
            one.close()
    assert row.reason == Reason.TIMEOUT
    assert time.monotonic() - began < 80
