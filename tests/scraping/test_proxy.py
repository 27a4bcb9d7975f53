"""The browser's way out, asked over a socket as any SOCKS5 client would."""

import gc
import socket
from collections.abc import Generator
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from scraping.proxy import Proxy
from tellapart.addresses import Network

HELLO = b"\x05\x01\x00"


@pytest.fixture(params=[True], ids=["local"])
def proxy(request: pytest.FixtureRequest) -> Generator[Proxy, None, None]:
    with Proxy(Network(), request.param) as proxy:
        yield proxy


def ask(proxy: Proxy, request: bytes, then: bytes = b"") -> bytes:
    """All that comes back before the proxy hangs up."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=90) as client:
        client.sendall(request + then)
        client.shutdown(socket.SHUT_WR)
        return until_the_end(client)


def until_the_end(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(4096), b""))


def connect(host: bytes, port: int) -> bytes:
    return HELLO + b"\x05\x01\x00" + host + port.to_bytes(2)


def replied(answer: bytes) -> tuple[int, bytes]:
    """The reply's code, and what came through after it."""
    assert answer[:3] == b"\x05\x00\x05"
    return answer[3], answer[12:]


@pytest.mark.parametrize("host", [b"\x01\x7f\x00\x00\x01", b"\x03\x09127.0.0.1", b"\x03\x09localhost"])
def test_both_directions_come_through(proxy, site, host):
    site.serve("/", b"hello")
    request = b"GET / HTTP/1.0\r\n\r\n"
    code, came = replied(ask(proxy, connect(host, int(site.url.rpartition(":")[2])), request))
    assert code == 0
    assert came.startswith(b"HTTP/1.1 200")
    assert came.endswith(b"hello")


@pytest.mark.parametrize("proxy", [False], indirect=True)
@pytest.mark.parametrize(
    "host",
    [
        b"\x01\x7f\x00\x00\x01",
        b"\x03\x09127.0.0.1",
        b"\x03\x09localhost",
        b"\x01\x0a\x00\x00\x01",
        b"\x04" + bytes(15) + b"\x01",
        b"\x04" + bytes(10) + b"\xff\xff\x7f\x00\x00\x01",
    ],
)
def test_what_is_not_public_is_forbidden(proxy, site, host):
    assert replied(ask(proxy, connect(host, int(site.url.rpartition(":")[2])))) == (2, b"")
    assert not site.asked


def test_what_does_not_answer_is_unreachable(proxy):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert replied(ask(proxy, connect(b"\x01\x7f\x00\x00\x01", port))) == (4, b"")
    assert replied(ask(proxy, connect(b"\x03\x00", port))) == (4, b"")
    assert replied(ask(proxy, connect(b"\x03\x03\xff\xfe\xfd", port))) == (4, b"")


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
        (HELLO[:2], b""),
        (HELLO, b"\x05\x00"),
        (HELLO + b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", b"\x05\x00\x05\x07\x00\x01" + bytes(6)),
        (HELLO + b"\x05\x01\x00\x09", b"\x05\x00\x05\x07\x00\x01" + bytes(6)),
    ],
)
def test_what_is_no_such_request_is_left(proxy, request_bytes, answer):
    assert ask(proxy, request_bytes) == answer


def test_the_next_address_of_a_host_is_tried(site):
    class Names(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
            return [
                ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
                for address in ("2001:db8::1", "240.0.0.1", "127.0.0.1")
            ]

        async def close(self) -> None:
            """Nothing is held."""

    site.serve("/", b"hello")
    with Proxy(Network(Names, lambda *_: True), local=False) as proxy:
        answer = ask(proxy, connect(b"\x03\x01x", int(site.url.rpartition(":")[2])), b"GET / HTTP/1.0\r\n\r\n")
    assert replied(answer)[1].endswith(b"hello")


def test_an_answer_comes_however_late(proxy):
    with (
        socket.create_server(("127.0.0.1", 0)) as site,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=90) as client,
    ):
        client.sendall(connect(b"\x01\x7f\x00\x00\x01", site.getsockname()[1]) + b"question")
        client.shutdown(socket.SHUT_WR)
        far, _ = site.accept()
        with far:
            assert until_the_end(far) == b"question"
            for _ in range(20):
                gc.collect()  # takes a task that only waits for the site, unless somebody holds it
            far.sendall(b"answer")
        assert replied(until_the_end(client)) == (0, b"answer")


def test_it_may_end_as_soon_as_it_began():
    for _ in range(300):
        with Proxy(Network(), local=False) as proxy:
            assert proxy.port


def test_it_ends_with_what_is_still_open():
    with Proxy(Network(), local=True) as proxy:
        client = socket.create_connection(("127.0.0.1", proxy.port), timeout=90)
        client.sendall(HELLO)
        assert client.recv(2) == b"\x05\x00"
    with client:
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=90)
