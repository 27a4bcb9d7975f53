"""The service's own HTTP routes: every path there is, in one table.

Not written as BentoML endpoints: those choose a parser by content type before our code runs, answer a request that
does not fit with errors of their own shape, fetch addresses given for pictures, and stand behind layers that cost more
than all the rest. Here each request is read by `uploads` and nothing else. `guard` checks path and method.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tellapart.catalogue import Catalogue
from tellapart.images import DEFAULT_LIMITS
from tellapart.uploads import Upload, read_upload
from tellapart.wire import MAX_BATCH_IMAGES, BatchResult, Explanation, NeighbourList, Result, ServiceError

T = TypeVar("T")
UNKNOWN = "/unknown"
_READ = frozenset({"GET", "HEAD"})
_WRITE = frozenset({"POST"})
_ONE_PICTURE = DEFAULT_LIMITS.max_bytes + 2**20  # and the form around it
_MANY_PICTURES = 128 * 2**20
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Front(Protocol):
    """What answers behind the routes."""

    catalogue: Catalogue

    @property
    def ready(self) -> bool:
        """Whether pictures can be answered."""

    def check_room(self) -> None:
        """Refuse pictures at once where there is too much to do."""

    def check_explaining(self) -> None:
        """Refuse explanations and searches at once where there is too much to do."""

    async def one(self, upload: Upload) -> Result:
        """The answer for one picture."""

    async def many(self, upload: Upload) -> BatchResult:
        """The answers for several pictures."""

    async def explain(self, upload: Upload) -> Explanation:
        """Why a picture gets its class."""

    async def nearest(self, upload: Upload) -> NeighbourList:
        """The pictures learned from that are most like it."""


def build_app(front: Callable[[], Front | None], description: dict[str, Any]) -> ASGIApp:
    """The routes; `front` gives what answers, which exists only once the server has started.

    Raises, when asked:
        ServiceError: what the answer should say.
        ClientDisconnect: nobody waits for one.
    """
    routes = _Routes(front, description)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        _, route = find_route(scope["path"])
        if route is None or route.handler is None:
            raise _nothing_here()
        answer = await route.handler(routes, Request(scope, receive))
        await answer(scope, receive, send)

    return app


class _Routes:
    def __init__(self, front: Callable[[], Front | None], description: dict[str, Any]) -> None:
        self._find_front, self._description = front, description

    @property
    def _front(self) -> Front:
        if front := self._find_front():
            return front
        raise ServiceError("not_ready", "the service is not ready")

    async def classify(self, request: Request) -> Response:
        self._front.check_room()
        upload = await read_upload(request, "image", 1, ("model", "top_k"))
        return _json(await _while_connected(request, self._front.one(upload)))

    async def classify_batch(self, request: Request) -> Response:
        self._front.check_room()
        upload = await read_upload(request, "images", MAX_BATCH_IMAGES, ("model", "top_k"))
        return _json(await _while_connected(request, self._front.many(upload)))

    async def explain(self, request: Request) -> Response:
        self._front.check_explaining()
        upload = await read_upload(request, "image", 1, ("model", "class"))
        answer = await _while_connected(request, self._front.explain(upload))
        if "image/png" in request.headers.get("accept", ""):
            return Response(base64.b64decode(answer.heat_map), media_type="image/png")
        return _json(answer)

    async def nearest(self, request: Request) -> Response:
        self._front.check_explaining()
        upload = await read_upload(request, "image", 1, ("model", "count"))
        return _json(await _while_connected(request, self._front.nearest(upload)))

    async def models(self, _: Request) -> Response:
        return _json(await asyncio.to_thread(self._front.catalogue.list))

    async def report(self, request: Request) -> Response:
        """`/reports/TAG`, the one path with something in it."""
        tag = request.scope["path"].removeprefix("/reports/")
        if not tag:
            raise _nothing_here()
        model = await asyncio.to_thread(self._front.catalogue.find, tag)
        page = model.path / "report" / "index.html"
        if not page.is_file():
            raise ServiceError("not_found", f"{model.tag} has no report")
        return HTMLResponse(await asyncio.to_thread(page.read_bytes), headers=_PAGE_HEADERS)

    async def docs(self, _: Request) -> Response:
        return JSONResponse(self._description)

    async def live(self, _: Request) -> Response:
        return PlainTextResponse("\n")

    async def ready(self, _: Request) -> Response:
        if not self._front.ready:
            raise ServiceError("not_ready", "the service is not ready")
        return PlainTextResponse("\n")


@dataclass(frozen=True)
class Route:
    """A path there is.

    Attributes:
        handler: answers requests for it; None where BentoML does.
        methods: that may be used.
        most_bytes: of a body; 0 where none is taken.
        for_probes: health checks ask it: it needs no token, and is neither logged nor counted.
    """

    handler: Callable[[_Routes, Request], Awaitable[Response]] | None
    methods: frozenset[str] = _READ
    most_bytes: int = 0
    for_probes: bool = False


ROUTES: Mapping[str, Route] = {
    "/classify": Route(_Routes.classify, _WRITE, _ONE_PICTURE),
    "/classify_batch": Route(_Routes.classify_batch, _WRITE, _MANY_PICTURES),
    "/explain": Route(_Routes.explain, _WRITE, _ONE_PICTURE),
    "/nearest": Route(_Routes.nearest, _WRITE, _ONE_PICTURE),
    "/models": Route(_Routes.models),
    "/reports/": Route(_Routes.report),
    "/docs.json": Route(_Routes.docs),
    "/livez": Route(_Routes.live, for_probes=True),
    "/healthz": Route(_Routes.live, for_probes=True),
    "/readyz": Route(_Routes.ready, for_probes=True),
    "/metrics": Route(None),
}
"""A path that ends with a slash stands for all below it."""


def find_route(path: str, routes: Mapping[str, Route] = ROUTES) -> tuple[str, Route | None]:
    """The path as counters and log may see it, which is one of a fixed set, and its route if there is one."""
    if route := routes.get(path):
        return path, route
    folder = f"/{path[1:].partition('/')[0]}/"
    return (folder, routes[folder]) if path.startswith(folder) and folder in routes else (UNKNOWN, None)


def _nothing_here() -> ServiceError:
    return ServiceError("not_found", "there is nothing here. See: /docs.json")


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do work for a client, and give it up when the client has gone.

    Raises:
        ClientDisconnect: it has gone.
    """
    task = asyncio.current_task()
    assert task is not None
    gone = asyncio.ensure_future(_disconnect(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        if not gone.done():
            raise
        task.uncancel()
        raise ClientDisconnect from None
    finally:
        gone.cancel()


async def _disconnect(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()
