"""What stands before everything else: paths, token, body size, request ids, and errors in one shape.

The outermost ASGI layer. Requests go straight to our routes; BentoML's own application, which passes each through
a dozen layers, only shows the counters.
"""

import asyncio
import hmac
import logging
import os
import random
import re
import time
from collections.abc import Mapping
from functools import cached_property

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tellapart.bodies import CountedBody, too_large
from tellapart.meters import RequestMeters
from tellapart.routes import ROUTES, Route, find_route
from tellapart.wire import HTTP_STATUS, ServiceError

TOKEN_VARIABLE = "TELLAPART_TOKEN"
RETRY_AFTER_S = 1
HELD_BYTES = 512 * 2**20  # of all bodies that are being worked on

_MOST_S = 300.0  # of any request; every wait has a shorter limit of its own
_CLIENT_GONE = 499  # what the log and the counters see of a client that hung up
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

_log = logging.getLogger(__name__)
_access = logging.getLogger("bentoml.tellapart")  # BentoML writes what is below its own name from INFO on
_Headers = dict[bytes, bytes]


class Guard:
    """Lets through what is allowed, and answers every failure in the shape of `wire`.

    Args:
        own: answers our paths; may raise ServiceError, also in place of an answer.
        bentoml: answers `/metrics`, and whatever is no HTTP request.
        routes: what there is.
        most_held: bytes of all bodies that are being worked on.
    """

    def __init__(
        self,
        own: ASGIApp,
        bentoml: ASGIApp,
        environ: Mapping[str, str] = os.environ,
        routes: Mapping[str, Route] = ROUTES,
        most_held: int = HELD_BYTES,
    ) -> None:
        self._own, self._bentoml = own, bentoml
        self._routes, self._most_held = routes, most_held
        self._token = environ.get(TOKEN_VARIABLE, "").encode()
        self._held = 0

    @cached_property
    def _meters(self) -> RequestMeters:
        return RequestMeters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._bentoml(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, headers = time.perf_counter(), dict(scope["headers"])
        label, route = find_route(scope["path"], self._routes)
        body = CountedBody(receive, route.most_bytes if route else 0, self._take)
        answer = _Answer(scope, send, _request_id(headers), route)
        try:
            app = self._own if self._check(scope, headers, route).handler else self._bentoml
            async with asyncio.timeout(_MOST_S):
                await app(scope, body.receive, answer.send)
        except ClientDisconnect:
            answer.status = _CLIENT_GONE
        except Exception as error:
            await answer.fail(_failure(error, answer))
        finally:
            self._held -= body.taken
            if not (route and (route.for_probes or route.handler is None)):
                self._tell(label.rstrip("/"), scope["method"], answer, time.perf_counter() - began)

    def _tell(self, label: str, method: str, answer: "_Answer", seconds: float) -> None:
        """Count the request, and write one line: its id, what was asked, the status, milliseconds.

        Never a header or a query, and the path only where it is out of a fixed set.
        """
        self._meters.count(label, answer.status, seconds)
        _access.info("%s %s %s %d %.1f ms", answer.request_id, method, label, answer.status, 1000 * seconds)

    def _check(self, scope: Scope, headers: _Headers, route: Route | None) -> Route:
        if self._token and not (route and route.for_probes):
            self._check_token(headers)
        if route is None:
            raise ServiceError("not_found", f"there is nothing at {scope['path'][:120]!r}. See: /docs.json")
        if scope["method"] not in route.methods:
            raise ServiceError("method_not_allowed", f"use {' or '.join(sorted(route.methods))} here")
        length = headers.get(b"content-length", b"")
        if route.most_bytes and length.isdigit() and int(length) > route.most_bytes:
            raise too_large(route.most_bytes)
        return route

    def _check_token(self, headers: _Headers) -> None:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
            raise ServiceError("unauthorized", "a token is needed. Send the header: Authorization: Bearer TOKEN")

    def _take(self, size: int) -> None:
        if self._held + size > self._most_held:
            raise ServiceError("overloaded", "too many uploads at once. Try again in a moment")
        self._held += size


class _Answer:
    """One answer on its way out: adds the request id, and replaces an error that is not in our shape."""

    def __init__(self, scope: Scope, send: Send, request_id: bytes, route: Route | None) -> None:
        self._scope, self._send, self._id, self._route = scope, send, request_id, route
        self.status = 0
        self._replaced = False

    @property
    def request_id(self) -> str:
        return self._id.decode()

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start" and message["status"] >= 400:
            await self.fail(_foreign_error(message["status"]))
        else:
            await self._forward(message)

    async def fail(self, error: ServiceError) -> None:
        """Answer with an error, where no answer has begun."""
        if self.status:
            return
        self._replaced = True
        response = JSONResponse(error.body(), error.status, _headers(error, self._route))
        await response(self._scope, _nothing, self._forward)

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id)]
        await self._send(message)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _headers(error: ServiceError, route: Route | None) -> dict[str, str]:
    if error.status == HTTP_STATUS["overloaded"]:
        return {"Retry-After": str(RETRY_AFTER_S)}
    more = {
        "unauthorized": {"WWW-Authenticate": "Bearer"},
        "method_not_allowed": {"Allow": ", ".join(sorted(route.methods if route else ()))},
        "too_slow": {"Connection": "close"},
    }
    return more.get(error.code, {})


def _request_id(headers: _Headers) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if _REQUEST_ID.fullmatch(given) else b"%032x" % random.getrandbits(128)


def _failure(error: Exception, answer: _Answer) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, TimeoutError):
        return ServiceError("overloaded", "the answer took too long. Try again in a moment")
    _log.error("%s failed", answer.request_id, exc_info=error)
    return ServiceError("internal", "the service failed. Its log says why")


def _foreign_error(status: int) -> ServiceError:
    """An error that BentoML answered, in our words."""
    if status in (429, 503, 504):
        return ServiceError("overloaded", "the service is busy. Try again in a moment")
    return ServiceError("internal", "the service failed. Its log says why")
