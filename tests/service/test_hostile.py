"""A stream of hostile requests against a real server, and pictures that are made to hurt."""

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from PIL import Image

from benchmarks.attacks import KINDS, picture, stream
from benchmarks.raw_http import Attack, Verdict, request, send
from tellapart.wire import ErrorBody

pytestmark = pytest.mark.service

MakePicture = Callable[..., bytes]
Server = Any
MB = 2**20


def address(server: Server) -> tuple[str, int]:
    parts = urlsplit(server.url)
    return str(parts.hostname), int(parts.port or 0)


def processes(server: Server) -> dict[int, psutil.Process]:
    """All processes of a running server by their numbers."""
    port = str(address(server)[1])
    (first,) = [p for p in psutil.Process().children() if port in p.cmdline()]
    return {p.pid: p for p in [first, *first.children(recursive=True)]}


def memory(server: Server) -> float:
    """MB that all of them hold."""
    return sum(p.memory_info().rss for p in processes(server).values()) / MB


def carry_out(server: Server, attacks: Iterator[Attack], threads: int = 4) -> list[Verdict]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda attack: send(attack, address(server)), attacks))


def test_no_attack_gets_a_wrong_answer_kills_a_process_or_keeps_memory(server: Server, make_photo: MakePicture) -> None:
    good = {"files": {"image": make_photo(1)}, "data": {"model": "photos"}}
    before = server.client.post("/classify", **good).json()["confidence"]
    carry_out(server, islice(stream(1), 2 * len(KINDS)))  # what is loaded and allocated once
    pids, started = set(processes(server)), memory(server)
    verdicts = carry_out(server, islice(stream(2), 6 * len(KINDS)))
    assert {(v.attack.kind, v.wrong) for v in verdicts if v.wrong} == set()
    assert {v.attack.kind for v in verdicts} == set(KINDS)
    assert max(v.seconds for v in verdicts) < 20
    assert set(processes(server)) == pids
    assert memory(server) - started < 60
    assert server.client.post("/classify", **good).json()["confidence"] == pytest.approx(before, abs=1e-3)
    assert server.client.get("/readyz").status_code == 200


def test_the_stream_is_the_same_for_a_seed_and_a_wrong_answer_is_noticed(server: Server) -> None:
    first, again, other = (list(islice(stream(seed), 30)) for seed in (5, 5, 6))
    assert first == again
    assert first != other
    verdict = send(Attack("no picture", [b""], frozenset({200}), hang_up="half"), address(server))
    assert verdict.wrong == "0 answers, expected 1"
    verdict = send(Attack("no picture", [request(path="/nothing")], frozenset({200})), address(server))
    assert "status 404, expected [200]" in verdict.wrong


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of one bit a pixel with other chunks between its header and its end."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    body = b"\x89PNG\r\n\x1a\n"
    for kind, data in (header, *chunks, (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return body


def gif(frames: int) -> bytes:
    """An animation of many small frames."""
    buffer = io.BytesIO()
    pictures = [Image.new("P", (8, 8), i % 256) for i in range(frames)]
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def odd_pictures() -> Iterator[tuple[str, bytes, str]]:
    """What it is, its bytes, and the error's code, "" where it is a picture."""
    zeros = zlib.compress(bytes(64 * MB), 9)
    line = zlib.compress(bytes(2) * 8, 9)
    yield "no bytes", b"", "empty"
    yield "a bomb of 30,000 x 30,000 pixels", png(30_000, 30_000, (b"IDAT", zeros)), "too_large"
    yield "a side that is too long", png(1, 50_000, (b"IDAT", zeros)), "too_large"
    yield "more data than pixels", png(8, 8, (b"IDAT", zeros)), ""
    yield "a text that is a bomb", png(8, 8, (b"zTXt", b"a\0\0" + zeros), (b"IDAT", line)), "truncated"
    yield "a header and nothing else", png(8, 8), "truncated"
    yield "no size", png(0, 0, (b"IDAT", line)), "truncated"
    yield "3,000 frames", gif(3000), ""
    yield "one pixel", png(1, 1, (b"IDAT", zlib.compress(bytes(2)))), ""
    yield "an archive behind a picture", picture("JPEG") + b"PK\x03\x04" + bytes(1000), ""
    yield "an archive", b"PK\x03\x04" + bytes(1000), "unsupported_type"
    yield (
        "a drawing with a script",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        "unsupported_type",
    )
    yield "a page", b"<!doctype html><script>1</script>", "not_an_image"
    yield "a pickle", b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00N.", "not_an_image"


def test_odd_pictures_get_the_tables_answer_in_bounded_time_and_memory(server: Server) -> None:
    started = memory(server)
    for what, data, expected in odd_pictures():
        began = time.monotonic()
        response = server.client.post("/classify", files={"image": data})
        assert time.monotonic() - began < 30, what
        found = "" if response.is_success else ErrorBody.model_validate(response.json()).error.code
        assert found == expected, (what, response.text)
    assert memory(server) - started < 250
