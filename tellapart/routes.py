"""The service's own HTTP routes, as a Starlette application that BentoML mounts.

Mounted rather than written as BentoML endpoints: those choose a parser by content type before
our code runs, answer a request that does not fit with errors of their own shape, and fetch
addresses given for pictures. Here each request is read by `uploads` and nothing else.
"""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tellapart.catalogue import Catalogue
from tellapart.guard import nobody_there, refuse
from tellapart.uploads import Upload, read_upload
from tellapart.wire import MAX_BATCH_IMAGES, BatchResult, Explanation, NeighbourList, Result, ServiceError

T = TypeVar("T")
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Front(Protocol):
    """What answers behind the routes."""

    catalogue: Catalogue

    def check_room(self) -> None:
        """Refuse at once where there is too much to do."""

    async def one(self, upload: Upload) -> Result:
        """The answer for one picture."""

    async def many(self, upload: Upload) -> BatchResult:
        """The answers for several pictures."""

    async def explain(self, upload: Upload) -> Explanation:
        """Why a picture gets its class."""

    async def nearest(self, upload: Upload) -> NeighbourList:
        """The pictures learned from that are most like it."""


def build_app(front: Callable[[], Front], description: dict[str, Any]) -> Starlette:
    """The routes; `front` gives what answers, which exists only once the server has started."""

    async def classify(request: Request) -> Response:
        front().check_room()
        upload = await read_upload(request, "image", 1, ("model", "top_k"))
        return _json(await _while_connected(request, front().one(upload)))

    async def classify_batch(request: Request) -> Response:
        front().check_room()
        upload = await read_upload(request, "images", MAX_BATCH_IMAGES, ("model", "top_k"))
        return _json(await _while_connected(request, front().many(upload)))

    async def explain(request: Request) -> Response:
        upload = await read_upload(request, "image", 1, ("model", "class"))
        answer = await _while_connected(request, front().explain(upload))
        if "image/png" in request.headers.get("accept", ""):
            return Response(base64.b64decode(answer.heat_map), media_type="image/png")
        return _json(answer)

    async def nearest(request: Request) -> Response:
        upload = await read_upload(request, "image", 1, ("model", "count"))
        return _json(await _while_connected(request, front().nearest(upload)))

    async def models(_: Request) -> Response:
        return _json(await asyncio.to_thread(front().catalogue.list))

    async def report(request: Request) -> Response:
        model = await asyncio.to_thread(front().catalogue.find, request.path_params["tag"])
        page = model.path / "report" / "index.html"
        if not page.is_file():
            raise ServiceError("not_found", f"{model.tag} has no report")
        return FileResponse(page, media_type="text/html", headers=_PAGE_HEADERS)

    async def docs(_: Request) -> Response:
        return JSONResponse(description)

    return Starlette(
        routes=[
            Route("/classify", classify, methods=["POST"]),
            Route("/classify_batch", classify_batch, methods=["POST"]),
            Route("/explain", explain, methods=["POST"]),
            Route("/nearest", nearest, methods=["POST"]),
            Route("/models", models),
            Route("/reports/{tag}", report),
            Route("/docs.json", docs),
        ],
        exception_handlers={ServiceError: refuse, ClientDisconnect: nobody_there},
    )


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do work for a client, and give it up when the client has gone.

    Raises:
        ClientDisconnect: it has gone.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        gone.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
