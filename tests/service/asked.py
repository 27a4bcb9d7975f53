"""What tests that ask a server share: fields of forms, and what an error looks like."""

from typing import Any

import httpx

Form = list[tuple[str, Any]]


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is an error of ours, in one line."""
    body = response.json()
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "message"]
    assert "\n" not in body["error"]["message"]
    assert "Traceback" not in response.text
    return response.status_code, body["error"]["code"]


def file(data: bytes, name: str = "image", mime: str = "image/png") -> tuple[str, Any]:
    """A picture as a field of a form."""
    return name, ("cat.png", data, mime)


def text(name: str, value: str) -> tuple[str, Any]:
    """A text as a field of a form."""
    return name, (None, value)
