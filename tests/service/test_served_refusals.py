"""What a real server process refuses, and how it says so."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.service.asked import Form, file, problem, text

pytestmark = pytest.mark.service

MakePicture = Callable[..., bytes]
Server = Any


def errors(make_photo: MakePicture) -> Iterator[tuple[str, Form | bytes, dict[str, str], tuple[int, str]]]:
    """What is sent to where with which headers, and the expected answer."""
    good = make_photo(1)
    truncated, form = make_photo(2)[:-2000], {"Content-Type": "multipart/form-data; boundary=b"}
    many = [file(good, "images")] * 65
    yield "/classify", [file(b"hello")], {}, (400, "not_an_image")
    yield "/classify", [file(b"")], {}, (400, "empty")
    yield "/classify", [file(truncated)], {}, (400, "truncated")
    yield "/classify", [file(b"<svg xmlns='http://www.w3.org/2000/svg'/>")], {}, (415, "unsupported_type")
    yield "/classify", [file(good), text("model", "nope")], {}, (404, "unknown_model")
    yield "/classify", [file(good), text("model", "pets:nope")], {}, (404, "unknown_model")
    yield "/classify", [file(good), text("model", "../../etc")], {}, (404, "unknown_model")
    yield "/classify", [file(good), text("top_k", "many")], {}, (422, "wrong_field")
    yield "/classify", [file(good), text("top_k", "0")], {}, (422, "wrong_field")
    yield "/classify", [file(good), text("top_k", "1001")], {}, (422, "wrong_field")
    yield "/classify", [file(good), text("topk", "1")], {}, (422, "wrong_field")
    yield "/classify", [file(good), text("model", "pets"), text("model", "pets")], {}, (422, "wrong_field")
    yield "/classify", [file(good, "picture")], {}, (422, "wrong_field")
    yield "/classify", [text("image", "http://127.0.0.1/cat.png")], {}, (422, "wrong_field")
    yield "/classify", [text("model", "pets")], {}, (422, "wrong_field")
    yield "/classify", [file(good), file(good)], {}, (422, "wrong_field")
    yield "/classify_batch", many, {}, (422, "wrong_field")
    yield "/classify_batch", [*many, *many], {}, (422, "wrong_field")
    yield "/classify_batch", [text("model", "pets")], {}, (422, "wrong_field")
    yield "/classify", b"not multipart", form, (422, "wrong_field")
    yield "/classify", b"--b\r\nnonsense--", form, (422, "wrong_field")
    yield "/classify", b"", form, (422, "wrong_field")
    yield "/classify", b"--x--", {"Content-Type": "multipart/form-data"}, (422, "wrong_field")
    yield "/classify", b"", {"Content-Type": "image/png"}, (400, "empty")
    yield "/classify", b"{}", {"Content-Type": "application/json"}, (415, "unsupported_type")
    yield "/classify", b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, (415, "unsupported_type")
    yield "/classify", b"x", {"Content-Type": "application/vnd.bentoml+pickle"}, (415, "unsupported_type")
    yield "/classify", b"", {}, (415, "unsupported_type")
    yield "/classify", good, {"Content-Type": "image/png", "Content-Encoding": "gzip"}, (415, "unsupported_type")
    yield "/classify", b"x" * (22 * 2**20), {"Content-Type": "image/png"}, (413, "too_large")
    yield "/nothing", b"", {}, (404, "not_found")
    yield "/answer", b"", {}, (404, "not_found")
    yield "/models", b"", {}, (405, "method_not_allowed")


def test_bad_input_is_answered_as_the_table_says(server: Server, make_photo: MakePicture) -> None:
    for path, body, headers, expected in errors(make_photo):
        sent: Any = {"files": body} if isinstance(body, list) else {"content": body}
        response = server.client.post(path, headers=headers, **sent)
        assert problem(response) == expected, (path, str(body)[:80], headers, response.text)
    assert problem(server.client.get("/classify")) == (405, "method_not_allowed")


def test_too_many_pixels_are_refused(server: Server, make_picture: MakePicture) -> None:
    huge = make_picture(0, (8000, 8000), mode="L")
    assert problem(server.client.post("/classify", files=[file(huge)])) == (413, "too_large")


def test_a_body_without_a_length_is_limited_too(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(24):
            yield b"x" * 2**20

    response = server.client.post("/classify", content=chunks(), headers={"Content-Type": "image/png"})
    assert problem(response) == (413, "too_large")
