"""Hostile requests for the service, made from a seed: the same stream for the tests and for a soak.

    for attack in stream(seed):
        verdict = send(attack, ("127.0.0.1", 3000))

What comes back is a result or an error of the service's table, and a 5xx is only ever 503.
"""

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random

import numpy as np
import pillow_heif
from PIL import Image

from benchmarks.raw_http import FORM_TYPE, Attack, form, form_body, part, request, text

Make = Callable[[Random], Attack]

KINDS: dict[str, Make] = {}
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
_OK_OR_FAULT = (200, 400, 413, 415)  # a damaged picture may still be one
_BEGINNINGS = (
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"II*\0",
    b"BM",
    b"<svg",
    b"%PDF",
    b"\0\0\0 ftyp",
)
_MODELS = ("../../etc/passwd", "..", ".", "/", "pets:../../x", ":", "a" * 4000, "pets\0", "pets\r\nX: y")
_MODELS += (
    "\u202egnp",
    "C:\\x",
    "%2e%2e%2f",
    "~root",
    "pets:latest:1",
    "*",
    "' or 1=1 --",
    "${HOME}",
    "$(id)",
    "\u00e9",
)
_FILE_NAMES = (b'""', b'"../../x.png"', b'"%s"' % (b"a" * 3000), b'"\xff\xfe\x01.png"', b"a.png", b'"a\\"b.png"')
_FILE_NAMES += (
    b'"a"; filename="b"',
    b"\"a\"; filename*=UTF-8''%e2%82%ac%00.png",
    b'"a.php;.png"',
    b'"\xf0\x9f\x98\x80.png"',
)
_NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0" * 64,
)
_NO_HTTP += (
    b"GET / HTTP/9.9\r\n\r\n",
    b"G\xc3\x8bT / HTTP/1.1\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
)
_LENGTHS = (
    "Content-Length: -1",
    "Content-Length: many",
    "Content-Length: 99999999999999999999999",
    "Content-Length: 1, 2",
)
_LENGTHS += ("Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nTransfer-Encoding: chunked")


def stream(seed: int, kinds: Sequence[str] = ()) -> Iterator[Attack]:
    """Endless attacks, each kind in turn; only those of `kinds` where some are named."""
    rng = Random(seed)
    chosen = [KINDS[kind] for kind in kinds or KINDS]
    while True:
        yield from (make(rng) for make in chosen)


@cache
def picture(kind: str) -> bytes:
    """A small good picture of one format, the same every time."""
    pillow_heif.register_heif_opener()
    blobs = np.random.default_rng(len(kind)).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blobs).resize((96, 72), Image.Resampling.BICUBIC).save(buffer, kind)
    return buffer.getvalue()


def mutate(rng: Random, data: bytes) -> bytes:
    """The bytes after a few accidents: flipped, cut off, cut out, doubled, overwritten."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        start = rng.randrange(len(damaged) or 1)
        end = min(len(damaged), start + rng.choice((1, 4, 64, 1024)))
        match rng.randrange(6):
            case 0 | 1:
                damaged[start:end] = bytes(byte ^ rng.randrange(1, 256) for byte in damaged[start:end])
            case 2:
                del damaged[start:]
            case 3:
                del damaged[start:end]
            case 4:
                damaged[start:start] = damaged[start:end]
            case _:
                damaged[start:end] = rng.choice((b"\0", b"\xff", b"\x7f")) * (end - start)
    return bytes(damaged)


def _kind(name: str) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        KINDS[name] = make
        return make

    return register


def _attack(kind: str, data: bytes, *allowed: int) -> Attack:
    return Attack(kind, [data], frozenset(allowed))


def _good(rng: Random) -> bytes:
    return picture(rng.choice(FORMATS))


@_kind("random bytes")
def _random_bytes(rng: Random) -> Attack:
    data = rng.choice(_BEGINNINGS) + rng.randbytes(rng.choice((1, 10, 1000, 100_000)))
    as_body = request(data, "image/png")
    return _attack("random bytes", rng.choice((as_body, form(part("image", data)))), 400, 413, 415)


@_kind("mutated picture")
def _mutated(rng: Random) -> Attack:
    data = mutate(rng, _good(rng))
    path = rng.choice(("/classify", "/explain"))
    return _attack("mutated picture", form(part("image", data), path=path), *_OK_OR_FAULT)


@_kind("mutated batch")
def _mutated_batch(rng: Random) -> Attack:
    pictures = (part("images", mutate(rng, _good(rng))) for _ in range(6))
    return _attack("mutated batch", form(*pictures, path="/classify_batch"), 200)


@_kind("broken form")
def _broken_form(rng: Random) -> Attack:
    body = mutate(rng, form_body(part("image", b"x" * 50), text("model", "pets")))
    kind = rng.choice((FORM_TYPE, FORM_TYPE, "multipart/form-data", "multipart/form-data; boundary=" + "b" * 5000))
    return _attack("broken form", request(body, kind), 400, 404, 415, 422)


@_kind("wrong field")
def _wrong_field(rng: Random) -> Attack:
    good = _good(rng)
    wrong = rng.choice(
        [
            [part("picture", good)],
            [text("image", "http://127.0.0.1/a.png")],
            [part("image", good), text("top_k", rng.choice(("0", "-1", "1e3", "1001", "\u0661", "9" * 50, "")))],
            [part("image", good), text("TOP_K", "1")],
            [text("model", "pets")],
            [],
        ]
    )
    return _attack("wrong field", form(*wrong), 422)


@_kind("field given twice")
def _twice(rng: Random) -> Attack:
    good = part("image", _good(rng))
    twice = rng.choice(([good, good], [good, text("top_k", "1"), text("top_k", "2")]))
    return _attack("field given twice", form(*twice), 422)


@_kind("10,000 tiny fields")
def _many_fields(rng: Random) -> Attack:
    make: Callable[[int], bytes] = rng.choice((lambda i: text(f"f{i}", ""), lambda i: part(f"f{i}", b"")))
    return _attack("10,000 tiny fields", form(*map(make, range(10_000))), 422)


@_kind("10,000 query parameters")
def _many_parameters(rng: Random) -> Attack:
    query = "&".join(f"{rng.choice('ab')}={i}" for i in range(10_000))
    data = request(_good(rng), "image/png", f"/classify?{query}")
    return _attack("10,000 query parameters", data, 400, 422, 431)


@_kind("odd model name")
def _odd_model(rng: Random) -> Attack:
    name = text("model", rng.choice(_MODELS))
    return _attack("odd model name", form(part("image", _good(rng)), name), 404, 422)


@_kind("odd file name")
def _odd_file_name(rng: Random) -> Attack:
    name = b"; filename=" + rng.choice(_FILE_NAMES)
    head = rng.choice((b"", b"Content-Type: text/html\r\n", b"Content-Type: image/jpg; charset=utf-7\r\n"))
    return _attack("odd file name", form(part("image", _good(rng), name, head)), 200, 422)


@_kind("compressed body")
def _compressed(rng: Random) -> Attack:
    bomb = gzip.compress(b"\0" * 2**20, mtime=0)
    coding = rng.choice(("gzip", "deflate", "br", "zstd"))
    return _attack("compressed body", request(bomb, "image/png", head=[f"Content-Encoding: {coding}"]), 415)


@_kind("empty body")
def _empty(rng: Random) -> Attack:
    kind = rng.choice(("image/png", "application/octet-stream", FORM_TYPE, "application/json", ""))
    return _attack("empty body", request(b"", kind), 400, 415, 422)


@_kind("huge body")
def _huge(rng: Random) -> Attack:
    """100 MB, announced or in chunks."""
    block = bytes(2**20)
    if rng.random() < 0.5:
        head = request(b"", "image/png", head=[f"Content-Length: {100 * len(block)}"])
        return Attack("huge body", [head, *[block] * 100], frozenset({413}))
    chunk = b"%x\r\n%s\r\n" % (len(block), block)
    head = request(b"", "image/png", head=["Transfer-Encoding: chunked"])
    return Attack("huge body", [head, *[chunk] * 100, b"0\r\n\r\n"], frozenset({413}))


@_kind("slow body")
def _slow(rng: Random) -> Attack:
    whole = form(part("image", _good(rng)))
    size = len(whole) // 8 + 1
    return Attack(
        "slow body", [whole[i : i + size] for i in range(0, len(whole), size)], frozenset({200}), pause_s=0.03
    )


@_kind("huge headers")
def _huge_headers(rng: Random) -> Attack:
    line = rng.choice((b"X: " + b"a" * 1000, b"X" * 1000 + b":\r\n"))
    return Attack("huge headers", [b"GET /livez HTTP/1.1\r\n", *[line * 100] * 20], frozenset({400, 431}))


@_kind("pipelined requests")
def _pipelined(rng: Random) -> Attack:
    one = form(part("image", _good(rng)))
    return Attack("pipelined requests", [one * 4], frozenset({200}), answers=4)


@_kind("no HTTP")
def _no_http(rng: Random) -> Attack:
    return _attack("no HTTP", rng.choice((*_NO_HTTP, rng.randbytes(200) + b"\r\n\r\n")), 400)


@_kind("wrong length")
def _wrong_length(rng: Random) -> Attack:
    data = request(b"12345", "image/png", head=[rng.choice(_LENGTHS)])
    return _attack("wrong length", data, 400, 413)


@_kind("body without end")
def _without_end(rng: Random) -> Attack:
    """The length says more than what comes before the client stops sending."""
    data = request(_good(rng), "image/png", head=["Content-Length: 100000"])
    return Attack("body without end", [data], frozenset({400}), answers=0, hang_up="half")


@_kind("half-closed")
def _half_closed(rng: Random) -> Attack:
    return Attack("half-closed", [form(part("image", _good(rng)))], frozenset({200}), answers=0, hang_up="half")


@_kind("client gone")
def _gone(rng: Random) -> Attack:
    return Attack("client gone", [form(part("image", _good(rng)))], frozenset(), answers=0, hang_up="gone")


@_kind("odd path")
def _odd_path(rng: Random) -> Attack:
    path = rng.choice(
        ("/", "//", "/classify/../x", "/%2e%2e/%2e%2e/etc/passwd", "/%00", "/reports/..%2f..%2fx", "/a" * 9000)
    )
    method = rng.choice(("GET", "POST", "DELETE", "OPTIONS", "PATCH"))
    return _attack("odd path", request(path=path, method=method), 200, 404, 405)
