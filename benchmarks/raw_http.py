"""Requests as bytes on a connection, as no well-behaved client would send them, and a judge of what comes back."""

import io
import json
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BUSY = 503
_BOUNDARY = "tellapart-0123456789"


@dataclass(frozen=True)
class Attack:
    """What is sent, and what may come back.

    Attributes:
        kind: what is wrong with it.
        parts: the bytes to send; after each one the client waits `pause_s`.
        allowed: statuses that are a right answer; 503 always is one.
        answers: responses there must be; 0 where a closed connection is right too.
        hang_up: whether the client ends its sending ("half"), leaves before the answer ("gone"), or neither.
    """

    kind: str
    parts: Sequence[bytes]
    allowed: frozenset[int]
    answers: int = 1
    pause_s: float = 0.0
    hang_up: str = ""


@dataclass(frozen=True)
class Answer:
    """One response: its status and body."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Verdict:
    """What became of an attack: the answers, how long it took, and what was wrong ("" where nothing was)."""

    attack: Attack
    answers: tuple[Answer, ...]
    seconds: float
    wrong: str


def send(attack: Attack, address: tuple[str, int], timeout_s: float = 60.0) -> Verdict:
    """Carry out an attack and judge what came back."""
    started = time.perf_counter()
    answers: tuple[Answer, ...] = ()
    with socket.create_connection(address, timeout=timeout_s) as connection:
        try:
            _send(attack, connection)
            answers = () if attack.hang_up == "gone" else tuple(_read(connection, attack.answers))
            wrong = _judge(attack, answers)
        except TimeoutError:
            wrong = f"no answer within {timeout_s:.0f} s"
    return Verdict(attack, answers, time.perf_counter() - started, wrong)


def _send(attack: Attack, connection: socket.socket) -> None:
    try:
        for part in attack.parts:
            connection.sendall(part)
            time.sleep(attack.pause_s)
        if attack.hang_up == "half":
            connection.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was sent; the answer is there all the same


def _read(connection: socket.socket, count: int) -> Iterator[Answer]:
    """Up to `count` responses (one, where none is needed); fewer where the connection ends before."""
    with connection.makefile("rb") as file:
        for _ in range(max(count, 1)):
            try:
                yield _read_one(file)
            except (ConnectionResetError, EOFError):
                return


def _read_one(file: io.BufferedIOBase) -> Answer:
    status = file.readline().split()
    if not status:
        raise EOFError
    headers = dict(line.decode("latin-1").lower().split(":", 1) for line in iter(file.readline, b"\r\n"))
    return Answer(int(status[1]), file.read(int(headers.get("content-length", "0"))))


def _judge(attack: Attack, answers: Sequence[Answer]) -> str:
    """What is wrong with the answers, "" where nothing is."""
    if attack.hang_up != "gone" and len(answers) < attack.answers:
        return f"{len(answers)} answers, expected {attack.answers}"
    for answer in answers:
        if answer.status not in attack.allowed | {BUSY}:
            return f"status {answer.status}, expected {sorted(attack.allowed)}: {answer.body[:200]!r}"
        if answer.status >= 400 and not _in_shape(answer.body):
            return f"status {answer.status} and an error in another shape: {answer.body[:200]!r}"
    return ""


def _in_shape(body: bytes) -> bool:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return False
    return sorted(error) == ["code", "message"] and not {"\n", "Traceback"} & {*error["message"].split(" ")}


def request(
    body: bytes = b"", kind: str = "", path: str = "/classify", method: str = "POST", head: Sequence[str] = ()
) -> bytes:
    """One HTTP/1.1 request; `head` has more header lines, and a length among them replaces the true one."""
    lines = [f"{method} {path} HTTP/1.1", "Host: service", *head]
    if kind:
        lines.append(f"Content-Type: {kind}")
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in head):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def part(name: str, data: bytes, disposition: bytes = b'; filename="a.png"', head: bytes = b"") -> bytes:
    """One part of a form, as it stands between two boundaries."""
    return b'Content-Disposition: form-data; name="%s"%s\r\n%s\r\n%s\r\n' % (name.encode(), disposition, head, data)


def text(name: str, value: str) -> bytes:
    """A part of a form that is no file."""
    return part(name, value.encode(), disposition=b"")


def form_body(*parts: bytes) -> bytes:
    """A form's body with these parts."""
    line = f"--{_BOUNDARY}".encode()
    return b"".join(line + b"\r\n" + one for one in parts) + line + b"--\r\n"


def form(*parts: bytes, path: str = "/classify", head: Sequence[str] = ()) -> bytes:
    """A whole request with a form of these parts."""
    return request(form_body(*parts), FORM_TYPE, path, head=head)


FORM_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
