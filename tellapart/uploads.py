"""Reading what a client sent: pictures and options out of a multipart form or a plain picture body."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from tellapart.wire import DEFAULT_NEIGHBOURS, DEFAULT_TOP_K, MAX_BATCH_IMAGES, ServiceError

MAX_TOP_K = 1000
MAX_NEIGHBOURS = 100
_MOST = {"top_k": MAX_TOP_K, "count": MAX_NEIGHBOURS}
_MAX_TEXT_BYTES = 4096


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


class _InMemoryParser(MultiPartParser):
    """The body's size is limited before it gets here, so parts need no temporary files."""

    spool_max_size = 2**31


async def read_upload(request: Request, field: str, max_images: int, allowed: Sequence[str]) -> Upload:
    """Read one request: pictures in the multipart field `field`, or one picture as the whole body.

    The `allowed` options are form fields or query parameters; a field wins. Addresses are
    never fetched: a picture is bytes.

    Raises:
        ServiceError: `unsupported_type` for a body of another kind, `wrong_field` for a field
            that is missing, unknown, given twice or out of range, or a form that is not readable.
    """
    _check_coding(request.headers.get("content-encoding", ""))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    chosen = _check_options(request.query_params.multi_items(), allowed)
    if kind == "multipart/form-data":
        form = await _read_form(request, max_images)
        images = await _pictures(form, field)
        fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        chosen |= _check_options(fields, allowed)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        images = [await request.body()]
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


async def _read_form(request: Request, max_images: int) -> FormData:
    body = await request.body()
    if not body.rstrip().endswith(b"--"):
        raise _unreadable("it ends early")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    limits = {"max_files": MAX_BATCH_IMAGES + 1, "max_fields": 16, "max_part_size": _MAX_TEXT_BYTES}
    try:
        return await _InMemoryParser(request.headers, stream(), **limits).parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise _too_many(max_images) from None
        raise _unreadable(error.message.rstrip(".")) from None
    except (ValueError, UnicodeError) as error:
        raise _unreadable(type(error).__name__) from None


async def _pictures(form: FormData, field: str) -> list[bytes]:
    images = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != field:
                raise _wrong(f"a file in the field {name[:40]!r}, expected it in {field!r}")
            images.append(await value.read())
        elif name == field:
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


def _unreadable(reason: str) -> ServiceError:
    return _wrong(f"the multipart form is not readable: {reason}")


def _wrong(what: str) -> ServiceError:
    return ServiceError("wrong_field", what)
