"""The parts of a multipart form, read in one pass over the body; a file's bytes are copied once."""

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

_MOST_FILES = 65  # one more than any request may have, so that the answer can say so
_MOST_TEXTS = 16
_MOST_TEXT_BYTES = 4096
_MOST_AFTER = 1024  # bytes, of white space after the form


class FormError(ValueError):
    """A body that is no form, or one of more fields or longer ones than we take; says in what way."""


class TooManyFiles(FormError):
    """A form with more files than any request may have."""


@dataclass(frozen=True)
class Part:
    """A field of a form: its name, and the bytes of a file or a text."""

    name: str
    value: bytes | str


def read_form(content_type: str, body: bytes) -> list[Part]:
    """The fields of a form, in the order sent.

    Raises:
        FormError: see there.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if boundary is None:
        raise FormError("the Content-Type names no boundary")
    if not body[-_MOST_AFTER:].rstrip().endswith(b"--"):
        raise FormError("it ends early")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_headers_finished": reader.headers_done,
                "on_part_data": reader.data,
                "on_part_end": reader.end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise FormError("it is damaged") from None
    return reader.parts


class _Reader:
    """What the parser calls with the places of things in the body."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._files = self._texts = 0
        self.begin()

    def begin(self) -> None:
        self._name, self._is_file, self._size = "", False, 0
        self._data: list[bytes] = []
        self._header, self._disposition = b"", b""

    def header_name(self, body: bytes, start: int, end: int) -> None:
        self._header = body[start:end].lower()

    def header_value(self, body: bytes, start: int, end: int) -> None:
        if self._header == b"content-disposition":
            self._disposition = body[start:end]

    def headers_done(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise FormError("a field has no name")
        self._name, self._is_file = _text(options[b"name"]), b"filename" in options
        self._files += self._is_file
        self._texts += not self._is_file
        if self._files > _MOST_FILES:
            raise TooManyFiles(f"it has more than {_MOST_FILES} files")
        if self._texts > _MOST_TEXTS:
            raise FormError(f"it has more than {_MOST_TEXTS} fields")

    def data(self, body: bytes, start: int, end: int) -> None:
        self._size += end - start
        if not self._is_file and self._size > _MOST_TEXT_BYTES:
            raise FormError(f"the field {self._name[:40]!r} has more than {_MOST_TEXT_BYTES >> 10} KB")
        self._data.append(body[start:end])

    def end(self) -> None:
        value = b"".join(self._data)
        self.parts.append(Part(self._name, value if self._is_file else _text(value)))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
