"""What stands before the service's own code: routes, token, body size, request ids, and errors in one shape.

Two ASGI layers, as BentoML counts requests by raw path between them:

    Guard    outermost. Gives the counters a path out of a fixed set, answers every failure in the
             shape of `wire`, and puts X-Request-Id on every answer.
    Gate     innermost. Restores the path, refuses what is not allowed, and counts the body's bytes.
"""

import hmac
import logging
import os
import re
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tellapart.bodies import BodyLimits, CountedBody, too_large
from tellapart.wire import HTTP_STATUS, ServiceError

TOKEN_VARIABLE = "TELLAPART_TOKEN"
RETRY_AFTER_S = 1
OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz"})

_READ = frozenset({"GET", "HEAD"})
_WRITE = frozenset({"POST"})
_PATHS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("/classify", "/classify_batch", "/explain", "/nearest"), _WRITE),
    **dict.fromkeys(("/models", "/metrics", "/docs.json", *OPEN_PATHS), _READ),
}
_FOLDERS = {"/reports": _READ}
_UNKNOWN = "/unknown"
_REAL_PATH = "tellapart.path"
_SHAPED = "tellapart.shaped"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

_UNLOGGED = frozenset({"/metrics", *OPEN_PATHS})

_log = logging.getLogger(__name__)
_access = logging.getLogger("bentoml.tellapart")  # BentoML writes what is below its own name from INFO on


def error_response(error: ServiceError, scope: Scope) -> JSONResponse:
    """The answer for an error: {"error": {"code", "message"}} with its status and headers."""
    scope[_SHAPED] = True
    headers: dict[str, str] = {}
    if error.status == HTTP_STATUS["overloaded"]:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if error.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    if error.code == "method_not_allowed":
        headers["Allow"] = ", ".join(sorted(_methods(scope["path"]) or ()))
    if error.code == "too_slow":
        headers["Connection"] = "close"
    return JSONResponse(error.body(), error.status, headers)


async def refuse(request: Request, error: Exception) -> Response:
    """The exception handler for ServiceError of an application behind the Gate."""
    assert isinstance(error, ServiceError)
    return error_response(error, request.scope)


async def nobody_there(request: Request, _: Exception) -> Response:
    """The exception handler for ClientDisconnect: what the counters see of a client that hung up."""
    request.scope[_SHAPED] = True
    return Response(status_code=499)


class Guard:
    """The outermost layer; see the module."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        scope = {**scope, "path": _label(path), _REAL_PATH: path}
        answer = _Answer(scope, receive, send, _request_id(scope))
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            _log.exception("%s %s %s failed", answer.request_id, scope["method"], scope["path"])
            await answer.fail(ServiceError("internal", "the service failed. Its log says why"))
        finally:
            if path not in _UNLOGGED:
                answer.log()


class _Answer:
    """One answer on its way out: adds the request id, and replaces the body of an error that is not ours."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.request_id = request_id
        self._began, self._status = time.perf_counter(), 0
        self._started = self._replaced = False

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and _SHAPED not in self._scope:
                await self.fail(_foreign_error(message["status"], self._scope))
                return
            self._start(message)
        await self._send(message)

    async def fail(self, error: ServiceError) -> None:
        """Answer with an error, where no answer has begun."""
        if self._started:
            return
        self._replaced = True
        await error_response(error, self._scope)(self._scope, self._receive, self._forward)

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start(message)
        await self._send(message)

    def _start(self, message: Message) -> None:
        self._started, self._status = True, message["status"]
        MutableHeaders(scope=message)["X-Request-Id"] = self.request_id

    def log(self) -> None:
        """One line a request: its id, what was asked, the status, milliseconds. Never a header or a query."""
        milliseconds = 1000 * (time.perf_counter() - self._began)
        method, path = self._scope["method"], self._scope["path"]
        _access.info("%s %s %s %d %.1f ms", self.request_id, method, path, self._status, milliseconds)


class Gate:
    """The innermost layer; see the module."""

    def __init__(self, app: ASGIApp, limits: BodyLimits, environ: Mapping[str, str] = os.environ) -> None:
        self._app = app
        self._limits = limits
        self._token = environ.get(TOKEN_VARIABLE, "").encode()
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = scope.get(_REAL_PATH, scope["path"])
        limit = self._limits.per_path.get(scope["path"], 0)
        body = CountedBody(receive, limit, self._take)
        answer = _Watched(send)
        try:
            self._check(scope, limit)
            await self._app(scope, body.receive, answer.send)
        except Exception as error:
            # never let one pass unanswered: BentoML's timeout waits its whole time for an answer that never begins
            if answer.started:
                raise
            await error_response(_failure(error, scope), scope)(scope, receive, send)
        finally:
            self._held -= body.taken

    def _check(self, scope: Scope, limit: int) -> None:
        headers = Headers(scope=scope)
        methods = _methods(scope["path"])
        if self._token and scope["path"] not in OPEN_PATHS:
            self._check_token(headers)
        if methods is None:
            raise ServiceError("not_found", f"there is nothing at {scope['path'][:120]!r}. See: /docs.json")
        if scope["method"] not in methods:
            raise ServiceError("method_not_allowed", f"use {' or '.join(sorted(methods))} here")
        length = headers.get("content-length", "")
        if limit and length.isdecimal() and int(length) > limit:
            raise too_large(limit)

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise ServiceError("unauthorized", "a token is needed. Send the header: Authorization: Bearer TOKEN")

    def _take(self, size: int) -> None:
        if self._held + size > self._limits.held:
            raise ServiceError("overloaded", "too many uploads at once. Try again in a moment")
        self._held += size


class _Watched:
    """Knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)


def _label(path: str) -> str:
    """The path as the counters may see it: one out of a fixed set."""
    if path in _PATHS:
        return path
    return next((folder for folder in _FOLDERS if path.startswith(f"{folder}/")), _UNKNOWN)


def _methods(path: str) -> frozenset[str] | None:
    label = _label(path)
    return _PATHS.get(label) or _FOLDERS.get(label)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _failure(error: Exception, scope: Scope) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if scope["path"] == "/readyz":
        return ServiceError("not_ready", "the service is not ready")
    _log.error("%s failed", scope["path"], exc_info=error)
    return ServiceError("internal", "the service failed. Its log says why")


def _foreign_error(status: int, scope: Scope) -> ServiceError:
    """An error that another layer answered, in our words."""
    if scope[_REAL_PATH] == "/readyz":
        return ServiceError("not_ready", "the service is not ready")
    if status in (429, 503, 504):
        return ServiceError("overloaded", "the service is busy. Try again in a moment")
    named: dict[int, tuple[str, str]] = {
        404: ("not_found", "there is nothing here. See: /docs.json"),
        405: ("method_not_allowed", "this method is not allowed here"),
    }
    return ServiceError(*named.get(status, ("internal", "the service failed. Its log says why")))
