"""Reading what a client sent: pictures and options out of a multipart form or a plain picture body."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from tellapart.multipart import FormError, Part, TooManyFiles, read_form
from tellapart.wire import DEFAULT_NEIGHBOURS, DEFAULT_TOP_K, ServiceError

MAX_TOP_K = 1000
MAX_NEIGHBOURS = 100
_MOST = {"top_k": MAX_TOP_K, "count": MAX_NEIGHBOURS}


@dataclass(frozen=True)
class Upload:
    """A checked request.

    Attributes:
        images: the pictures' bytes, in the order sent; not looked into yet.
        model: NAME or NAME:VERSION, "" for the default.
        top_k: number of predictions asked for.
        count: number of neighbours asked for.
        class_name: the class to explain, "" for the answer.
    """

    images: list[bytes]
    model: str = ""
    top_k: int = DEFAULT_TOP_K
    count: int = DEFAULT_NEIGHBOURS
    class_name: str = ""


async def read_upload(request: Request, field: str, max_images: int, allowed: Sequence[str]) -> Upload:
    """Read one request: pictures in the multipart field `field`, or one picture as the whole body.

    The `allowed` options are form fields or query parameters; a field wins. Addresses are
    never fetched: a picture is bytes.

    Raises:
        ServiceError: `unsupported_type` for a body of another kind, `wrong_field` for a field
            that is missing, unknown, given twice or out of range, or a form that is not readable.
    """
    headers = dict(request.scope["headers"])  # looking each up in `request.headers` goes through all of them
    _check_coding(headers.get(b"content-encoding", b"").decode("latin-1"))
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    kind = content_type.partition(";")[0].strip().lower()
    query = request.query_params.multi_items() if request.scope["query_string"] else []
    chosen = _check_options(query, allowed)
    if kind == "multipart/form-data":
        parts = _read_form(content_type, await _body(request), max_images)
        images = _pictures(parts, field)
        fields = [(part.name, part.value) for part in parts if isinstance(part.value, str)]
        chosen |= _check_options(fields, allowed)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        images = [await _body(request)]
    else:
        raise ServiceError(
            "unsupported_type",
            f"a body of type {kind[:80] or 'unknown'} is not taken. "
            f"Send multipart/form-data with the field {field}, or a picture as the body with its image/ type",
        )
    _check_count(len(images), field, max_images)
    return Upload(
        images,
        chosen.get("model", ""),
        int(chosen.get("top_k", DEFAULT_TOP_K)),
        int(chosen.get("count", DEFAULT_NEIGHBOURS)),
        chosen.get("class", ""),
    )


def _check_coding(coding: str) -> None:
    if coding.strip().lower() not in ("", "identity"):
        raise ServiceError("unsupported_type", "compressed bodies are not taken. Send the picture as it is")


async def _body(request: Request) -> bytes:
    """The whole body; `Request.body` would keep it as long as the request."""
    chunks = [chunk async for chunk in request.stream() if chunk]
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _read_form(content_type: str, body: bytes, max_images: int) -> list[Part]:
    try:
        return read_form(content_type, body)
    except TooManyFiles:
        raise _too_many(max_images) from None
    except FormError as error:
        raise _wrong(f"the multipart form is not readable: {error}") from None


def _pictures(parts: Sequence[Part], field: str) -> list[bytes]:
    images = []
    for part in parts:
        if isinstance(part.value, bytes):
            if part.name != field:
                raise _wrong(f"a file in the field {part.name[:40]!r}, expected it in {field!r}")
            images.append(part.value)
        elif part.name == field:
            raise _wrong(f"the field {field!r} holds text, expected a file; addresses are not fetched")
    return images


def _check_count(count: int, field: str, max_images: int) -> None:
    if not count:
        raise _wrong(f"the field {field!r} with the picture is missing")
    if count > max_images:
        raise _too_many(max_images)


def _check_options(options: Sequence[tuple[str, str]], allowed: Sequence[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for name, value in options:
        if name not in allowed:
            raise _wrong(f"unknown field {name[:40]!r}, expected {' or '.join(allowed)}")
        if name in chosen:
            raise _wrong(f"the field {name!r} is given twice")
        chosen[name] = value.strip()
        if name in _MOST:
            _check_number(name, chosen[name])
    return chosen


def _check_number(name: str, text: str) -> None:
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= _MOST[name]):
        raise _wrong(f"{name} is {text[:40]!r}, expected a whole number from 1 to {_MOST[name]}")


def _too_many(max_images: int) -> ServiceError:
    expected = "one picture" if max_images == 1 else f"at most {max_images} pictures"
    return _wrong(f"too many pictures, expected {expected}")


def _wrong(what: str) -> ServiceError:
    return ServiceError("wrong_field", what)
