"""What a connection may send before its request reaches any of our code.

uvicorn's parser takes heads of any size and waits for them for ever, and answers what is no HTTP in
plain text. Here the bytes that are no body are counted, a head has a time limit, and a refusal has
the shape of every other error.
"""

import asyncio
import json
import logging
import uuid
from http import HTTPStatus
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tellapart.wire import ServiceError

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
LAST_SECONDS = 0.5

_access = logging.getLogger("bentoml.tellapart")  # as in `guard`


def install() -> None:
    """Let the servers that this process makes from now on use `BoundedConnection`."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedConnection.__name__}"


class BoundedConnection(HttpToolsProtocol):
    """One client's connection.

    The head of a request, and what frames its body (chunk sizes, trailers), may have `MAX_HEAD_BYTES`
    more than the body has; the block a request begins in is not counted. A head takes at most
    `HEAD_SECONDS`, and a connection that sends nothing is kept as long as an idle one.

    When the server stops, what is being sent is still answered, and the answer says that it was the last:
    an idle connection has `LAST_SECONDS` for what is on its way.
    """

    _deadline: asyncio.TimerHandle | None = None
    _overhead = 0
    _begun = False
    _stopping = False

    def connection_made(self, transport: Any) -> None:
        self.access_log = False  # `guard` writes one; uvicorn would put together a line that nobody sees
        super().connection_made(transport)
        self._limit_time(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_time_limit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._begun = False
        self._overhead += len(data)
        super().data_received(data)
        if self._begun:
            self._overhead = 0
        elif self._overhead > MAX_HEAD_BYTES:
            self._refuse(ServiceError("headers_too_large", f"the headers have more than {MAX_HEAD_BYTES >> 10} KB"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun = True
        self._limit_time(HEAD_SECONDS, self._too_slow)

    def on_headers_complete(self) -> None:
        self._end_time_limit()
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._overhead -= 2 * len(body)
        super().on_body(body)

    def shutdown(self) -> None:
        self._stopping = True
        if self._idle:
            self.loop.call_later(LAST_SECONDS, self._close_idle)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        self._refuse(ServiceError("bad_request", "this is no HTTP request"))

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        if self._idle:
            self.transport.close()

    def _too_slow(self) -> None:
        self._refuse(ServiceError("too_slow", f"the headers took more than {HEAD_SECONDS:.0f} s"))

    def _refuse(self, error: ServiceError) -> None:
        if self.transport.is_closing():
            return
        body, request_id = json.dumps(error.body()).encode(), uuid.uuid4().hex
        _access.info("%s refused before it was a request: %d %s", request_id, error.status, error.code)
        head = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
            f"x-request-id: {request_id}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _limit_time(self, seconds: float, then: Any) -> None:
        self._end_time_limit()
        self._deadline = self.loop.call_later(seconds, then)

    def _end_time_limit(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
