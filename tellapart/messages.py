"""What the front and the Runner send each other: a JSON head, then raw bytes. Nothing is pickled.

4 bytes   length of the head, big endian
4 bytes   length of the body
head      a JSON object; "shared" and "size" say where the body of a question is in shared memory, and how long it is.
          Who cannot open that answers `UNOPENED` and gets the question again, with its body
body      the numbers of one array, files, or nothing
"""

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.errors import TellapartError
from tellapart.images import Limits
from tellapart.wire import ServiceError

Head = dict[str, Any]
Floats = NDArray[np.float32]
Answer = tuple[Floats, bool]  # probabilities (C,), and whether the picture shows none of the classes
Look = tuple[Floats, bool, int, Floats]  # the same, the class index that was looked at, and its heat map (h, w)
Piece = bytes | memoryview

# of files that a Runner may decode itself, as they take well under a second
ORDINARY = Limits(max_bytes=2 * 2**20, max_pixels=8_000_000, max_frames=1, max_scans=30)
WATCH = "watch"  # tells the Runner whose end it is to notice; never answered
GOODBYE = "goodbye"  # takes that back
UNOPENED = "unopened"

_LENGTHS = struct.Struct("!II")
_MOST = 2**31


class Closed(TellapartError):
    """The other side is gone."""


def pack(head: Head, *parts: Piece) -> list[Piece]:
    """A message in pieces, so that pictures need not be copied into one."""
    text = json.dumps(head).encode()
    return [_LENGTHS.pack(len(text), sum(len(part) for part in parts)), text, *parts]


async def receive(stream: asyncio.StreamReader) -> tuple[Head, bytes]:
    """The next message.

    Raises:
        Closed: there is none any more.
    """
    try:
        head, body = _lengths(await stream.readexactly(_LENGTHS.size))
        return json.loads(await stream.readexactly(head)), await stream.readexactly(body)
    except (EOFError, OSError) as error:
        raise Closed("the Runner ended") from error


def receive_blocking(connection: socket.socket) -> tuple[Head, bytearray]:
    """As `receive`, for a thread that waits.

    Raises:
        Closed: there is none any more.
    """
    head, body = _lengths(_exactly(connection, _LENGTHS.size))
    return json.loads(_exactly(connection, head)), _exactly(connection, body)


def send_blocking(connection: socket.socket, pieces: Sequence[Piece]) -> None:
    """Send a message.

    Raises:
        Closed: nobody takes it any more.
    """
    try:
        connection.sendall(b"".join(pieces))  # at once: the other side is woken for each part
    except OSError as error:
        raise Closed("the front ended") from error


def write_answers(answers: Sequence[Answer | ServiceError]) -> tuple[Head, list[Piece]]:
    """Answers as a message: how each is in the head, all probabilities one after the other in the body."""
    described: list[Head] = []
    parts: list[Piece] = []
    for answer in answers:
        if isinstance(answer, ServiceError):
            described.append({"code": answer.code, "message": str(answer)})
        else:
            probabilities, none = answer
            described.append({"classes": len(probabilities), "none_of_these": none})
            parts.append(np.ascontiguousarray(probabilities).data.cast("B"))
    return {"answers": described}, parts


def read_answers(head: Head, body: bytes) -> list[Answer | Exception]:
    """What `write_answers` wrote."""
    numbers = np.frombuffer(body, np.float32)
    answers: list[Answer | Exception] = []
    for described in head["answers"]:
        if "code" in described:
            answers.append(ServiceError(described["code"], described["message"]))
        else:
            count = described["classes"]
            answers.append((numbers[:count], described["none_of_these"]))
            numbers = numbers[count:]
    return answers


def _lengths(data: bytes | bytearray) -> tuple[int, int]:
    head, body = _LENGTHS.unpack(data)
    if head + body > _MOST:
        raise Closed(f"a message of {head + body} bytes")
    return head, body


def _exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        try:
            count = connection.recv_into(rest)
        except OSError as error:
            raise Closed("the front ended") from error
        if not count:
            raise Closed("the front ended")
        rest = rest[count:]
    return data
