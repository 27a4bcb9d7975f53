"""Multipart forms by hand, as bytes."""

import pytest

from tellapart.multipart import FormError, Part, TooManyFiles, read_form

TYPE = "multipart/form-data; boundary=b"
FILE = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg'


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


def text(name: str, value: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (name.encode(), value)


def test_files_are_bytes_and_other_fields_text_in_the_order_sent() -> None:
    body = form(text("model", "caf\u00e9".encode()), FILE + b"\r\n\r\n\xff\r\n--not b\r\n", text("top_k", b"3"))
    assert read_form(TYPE, body) == [
        Part("model", "caf\u00e9"),
        Part("image", b"\xff\r\n--not b\r\n"),
        Part("top_k", "3"),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (form(FILE + b"\r\n\r\n"), [Part("image", b"")]),
        (form(text("model", b"caf\xe9")), [Part("model", "caf\u00e9")]),  # no UTF-8
        (form(b'CONTENT-DISPOSITION: form-data; name="a;b"\r\n\r\nx'), [Part("a;b", "x")]),
        (form(FILE + b"\r\n\r\nx", end=b"--b--"), [Part("image", b"x")]),
        (b"--b--\r\n", []),
    ],
)
def test_what_browsers_and_programs_send_is_read(body: bytes, expected: list[Part]) -> None:
    assert read_form(TYPE, body) == expected


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "ends early"),
        (b"--b\r\n" + FILE + b"\r\n\r\nhalf", "ends early"),
        (b"not a form--", "damaged"),
        (b"--b\nContent-Disposition: form-data\n\nx\n--b--", "damaged"),
        (form(b"Content-Disposition: form-data\r\n\r\nx"), "no name"),
        (form(b"\r\nx"), "no name"),
        (form(text("model", b"x" * 4097)), "more than 4 KB"),
        (form(*[text(f"f{i}", b"") for i in range(17)]), "more than 16 fields"),
    ],
)
def test_what_is_no_form_or_too_much_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(FormError, match=why):
        read_form(TYPE, body)


def test_too_many_files_and_a_type_without_boundary_are_refused() -> None:
    with pytest.raises(TooManyFiles):
        read_form(TYPE, form(*[FILE + b"\r\n\r\nx"] * 66))
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "b" * 5000):
        with pytest.raises(FormError):
            read_form(kind, form(FILE + b"\r\n\r\nx"))
