"""Token, limits, request ids and the shape of foreign errors, without a server process."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from tellapart import guard
from tellapart.guard import Guard
from tellapart.routes import ROUTES
from tellapart.wire import ServiceError

SMALL = {
    **ROUTES,
    "/classify": replace(ROUTES["/classify"], most_bytes=100),
    "/classify_batch": replace(ROUTES["/classify_batch"], most_bytes=1000),
}
FAILURES = {
    "/models": RuntimeError("secret detail"),
    "/readyz": ServiceError("not_ready", "the service is not ready"),
    "/docs.json": ClientDisconnect(),
}


async def own(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path and the length of the body, where it does not fail."""
    if scope["path"] in FAILURES:
        raise FAILURES[scope["path"]]
    answer = PlainTextResponse(f"{scope['path']} {len(await Request(scope, receive).body())}")
    await answer(scope, receive, send)


async def late(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("late", status_code=504)(scope, receive, send)


def guarded(token: str = "") -> Guard:
    return Guard(own, late, {"TELLAPART_TOKEN": token}, SMALL, most_held=1500)


def ask(method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
    async def body() -> httpx.Response:
        transport = httpx.ASGITransport(app=guarded(token), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(body())


def code(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "message"]
    assert "\n" not in body["error"]["message"]
    return response.status_code, body["error"]["code"]


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic secret", "Bearer", "Bearer s\u00e9cret"])
def test_a_request_without_the_token_is_unauthorized(header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    response = ask("POST", "/classify", token="secret", headers=headers)
    assert code(response) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_token_opens_and_health_needs_none() -> None:
    assert ask("POST", "/classify", token="secret", headers={"Authorization": "bearer secret"}).status_code == 200
    assert ask("GET", "/livez", token="secret").status_code == 200
    assert code(ask("GET", "/anything", token="secret")) == (401, "unauthorized")


def test_a_body_is_counted_as_it_comes() -> None:
    async def chunks() -> Any:
        for _ in range(3):
            yield b"x" * 40

    assert ask("POST", "/classify", content=b"x" * 100).text == "/classify 100"
    assert code(ask("POST", "/classify", content=b"x" * 101)) == (413, "too_large")
    assert code(ask("POST", "/classify", content=chunks())) == (413, "too_large")
    assert ask("POST", "/classify_batch", content=b"x" * 1000).text == "/classify_batch 1000"


def test_bodies_held_at_once_are_limited_and_given_back() -> None:
    async def body() -> list[int]:
        held, release = asyncio.Event(), asyncio.Event()

        async def slow() -> Any:
            yield b"x" * 900
            held.set()
            await release.wait()

        transport = httpx.ASGITransport(app=guarded())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            first = asyncio.create_task(client.post("/classify_batch", content=slow()))
            await held.wait()
            second = await client.post("/classify_batch", content=b"x" * 900)
            release.set()
            answers = [await first, second, await client.post("/classify_batch", content=b"x" * 900)]
        return [answer.status_code for answer in answers]

    assert asyncio.run(body()) == [200, 503, 200]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing", (404, "not_found")),
        ("GET", "/reports", (404, "not_found")),
        ("GET", "/", (404, "not_found")),  # BentoML's page there loads a tracker from another site
        ("GET", "/classify", (405, "method_not_allowed")),
        ("DELETE", "/models", (405, "method_not_allowed")),
        ("GET", "/models", (500, "internal")),
        ("GET", "/readyz", (503, "not_ready")),
        ("GET", "/metrics", (503, "overloaded")),
    ],
)
def test_every_error_has_one_shape(method: str, path: str, expected: tuple[int, str]) -> None:
    response = ask(method, path)
    assert code(response) == expected
    assert "secret" not in response.text
    assert ("retry-after" in response.headers) == (response.status_code == 503)
    assert response.headers.get("allow") == {("GET", "/classify"): "POST", ("DELETE", "/models"): "GET, HEAD"}.get(
        (method, path)
    )


@pytest.mark.parametrize(("given", "echoed"), [("abc-1.2_Z", True), ("a b", False), ("x" * 129, False), ("", False)])
def test_the_request_id_is_echoed_or_made(given: str, echoed: bool) -> None:
    for path in ("/livez", "/nothing", "/models"):
        found = ask("GET", path, headers={"X-Request-Id": given}).headers.get_list("x-request-id")
        assert len(found) == 1
        assert (found[0] == given) is echoed
        assert found[0]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Paths and statuses as the counters see them from now on."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(guard.RequestMeters, "count", lambda _, *what: seen.append(what[:2]))
    return seen


def test_what_counts_and_logs_paths_sees_a_fixed_set(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    with caplog.at_level("INFO", logger="bentoml.tellapart"):
        for path in ("/reports/pets", "/a", "/b/c", "/classify/x", "/static_content/%2e%2e/x"):
            ask("GET", path)
        assert ask("GET", "/reports/pets").text == "/reports/pets 0"
    assert set(seen) == {("/reports", 200), ("/unknown", 404)}
    assert {record.getMessage().split()[2] for record in caplog.records} == {"/reports", "/unknown"}


def test_a_request_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(*_: Any) -> None:
        await asyncio.Event().wait()

    async def body() -> httpx.Response:
        transport = httpx.ASGITransport(app=Guard(wait, late, {}))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client, asyncio.timeout(60):
            return await client.get("/models")

    monkeypatch.setattr(guard, "_MOST_S", 0.01)
    assert code(asyncio.run(body())) == (503, "overloaded")


def test_a_client_that_hung_up_is_counted_and_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, sent = counted(monkeypatch), []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/docs.json", "headers": []}
    asyncio.run(guarded()(scope, None, send))  # type: ignore[arg-type]
    assert (seen, sent) == ([("/docs.json", 499)], [])


def test_every_request_is_one_line_of_the_log_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="bentoml.tellapart"):
        ask(
            "POST",
            "/classify?model=hidden",
            token="s3cret",
            headers={"X-Request-Id": "mine", "Authorization": "s3cret"},
        )
        ask("GET", "/livez")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith("mine POST /classify 401 ")
    assert "s3cret" not in lines[0]
    assert "hidden" not in lines[0]
