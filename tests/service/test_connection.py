"""What a connection may send before it is a request, on a real socket; and bodies that hardly come."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from tellapart import bodies, connection
from tellapart.bodies import CountedBody
from tellapart.wire import ServiceError
from tests.service.hasty import HastyLoop

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
KB = 1024


async def length_of_body(scope: Any, receive: Any, send: Any) -> None:
    """Answers with how many bytes the body had."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def talk(what: Talk) -> None:
    """Let something talk to a server that uses our connections."""

    async def body() -> None:
        async with served() as port, asyncio.timeout(90):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await what(reader, writer)
            writer.close()

    asyncio.run(body())


@asynccontextmanager
async def served(state: ServerState | None = None) -> AsyncIterator[int]:
    kind: Any = connection.BoundedConnection
    state = state or ServerState()
    config = uvicorn.Config(length_of_body, http=kind, lifespan="off", log_config=None, access_log=False)
    listening = await asyncio.get_running_loop().create_server(
        lambda: kind(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def answer(reader: asyncio.StreamReader, head: bytes = b"") -> tuple[int, bytes]:
    head = head or await reader.readuntil(b"\r\n\r\n")
    (length,) = [line for line in head.lower().splitlines() if line.startswith(b"content-length")]
    return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))


async def refusal(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The status and code of an error, which has an id and after which the connection ends."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", head)
    status, body = await answer(reader, head)
    assert await reader.read() == b""
    return status, str(json.loads(body)["error"]["code"])


async def trickle(writer: asyncio.StreamWriter, line: bytes, times: int) -> None:
    """Lines one by one, so that each is a block of its own to the server."""
    for _ in range(times):
        writer.write(line)
        await writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("line", [b"a" * KB, b"X: a\r\n" * 171])
def test_endless_headers_are_refused(line: bytes) -> None:
    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        await trickle(writer, line, 66)  # just over the limit, so that no answer is lost to a reset
        assert await refusal(reader) == (431, "headers_too_large")

    talk(attack)


def test_endless_trailers_are_refused() -> None:
    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        await trickle(writer, b"X: " + b"a" * KB + b"\r\n", 66)
        assert await refusal(reader) == (431, "headers_too_large")

    talk(attack)


def test_large_bodies_small_chunks_and_many_requests_are_none_of_that() -> None:
    async def use(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 10**6)
        assert await answer(reader) == (200, b"1000000")
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        await trickle(writer, (b"64\r\n" + b"a" * 100 + b"\r\n") * 100, 100)
        writer.write(b"0\r\n\r\n")
        assert await answer(reader) == (200, b"1000000")
        for _ in range(300):
            writer.write(b"GET / HTTP/1.1\r\nX: %s\r\n\r\n" % (b"a" * KB))
        assert [(await answer(reader))[0] for _ in range(300)] == [200] * 300

    talk(use)


def test_what_is_no_http_is_refused_in_our_shape() -> None:
    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x01\x02\x00\r\n\r\n")
        assert await refusal(reader) == (400, "bad_request")

    talk(attack)


def test_a_head_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)

    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        assert await refusal(reader) == (408, "too_slow")

    talk(attack)


def read(parts: list[bytes], pause_s: float = 0.0) -> int:
    """Bytes taken of a body of at most 100 that comes in parts."""

    async def receive() -> Any:
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def body() -> int:
        counted = CountedBody(receive, 100, lambda _: None)
        while (await counted.receive())["more_body"]:
            pass
        return counted.taken

    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        return runner.run(body())


def test_a_body_that_hardly_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [b"a"] * 100
    with pytest.raises(ServiceError) as refused:
        read(parts, pause_s=1)
    assert refused.value.code == "too_slow"
    assert len(parts) == 100 - bodies.PATIENCE_S
    monkeypatch.setattr(bodies, "LEAST_RATE", 1)  # each byte gains a second
    assert read([b"a"] * 100, pause_s=1) == 100


def test_a_body_is_counted_up_to_its_limit() -> None:
    assert read([b"a" * 50, b"a" * 50]) == 100
    with pytest.raises(ServiceError) as refused:
        read([b"a" * 50, b"a" * 51])
    assert refused.value.code == "too_large"


@pytest.fixture
def state() -> ServerState:
    return ServerState()


def stop(state: ServerState) -> None:
    """As a server does that was told to."""
    for one in list(state.connections):
        one.shutdown()


@pytest.mark.parametrize("sent", [0, 10, 38, 40])  # nothing, some of the head, the head, some of the body
def test_what_is_being_sent_when_the_server_stops_is_answered_as_the_last(state: ServerState, sent: int) -> None:
    whole = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345"

    async def body() -> None:
        async with served(state) as port, asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(whole)
            assert await answer(reader) == (200, b"5")
            writer.write(whole[:sent])
            for _ in range(20):  # turns of the loop, in which the server reads it
                await asyncio.sleep(0)
            stop(state)
            writer.write(whole[sent:])
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"connection: close" in head
            assert await answer(reader, head) == (200, b"5")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(body())


def test_a_connection_that_sends_nothing_when_the_server_stops_is_closed(state: ServerState) -> None:
    async def body() -> None:
        async with served(state) as port, asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while not state.connections:
                await asyncio.sleep(0)
            stop(state)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(body())
