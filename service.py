"""The Bento service: Classifier answers HTTP, Runner computes.

    bentoml serve service:Classifier

The Classifier decodes pictures in threads, gathers what waits into batches and sends each batch as one
uint8 array to the Runner, a process of its own behind a unix socket and the only one that imports torch.
"""

import asyncio
import base64
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple
from typing import Any

import aiohttp
import bentoml
import numpy as np
from _bentoml_sdk.service import Service, get_current_service  # type: ignore[import-untyped]
from bentoml.exceptions import BentoMLException
from bentoml.models import BentoModel
from numpy.typing import NDArray
from starlette.types import ASGIApp

from tellapart import store
from tellapart.batcher import MicroBatcher
from tellapart.catalogue import Catalogue
from tellapart.errors import TellapartError
from tellapart.explain import Seen, heat_png, sentence
from tellapart.guard import BodyLimits, Gate, Guard
from tellapart.images import DEFAULT_LIMITS, ImageError, ImageInfo, probe
from tellapart.openapi import describe
from tellapart.preprocess import Preprocessing
from tellapart.routes import build_app
from tellapart.store import StoredModel
from tellapart.uploads import Upload
from tellapart.wire import (
    BatchResult,
    ErrorBody,
    Explanation,
    NeighbourList,
    Problem,
    Result,
    ServiceError,
    image_error,
    make_result,
)

MAX_BATCH_SIZE = 32
MAX_WAITING = 512
TIMEOUT_S = 30.0
MAX_LOADED_BYTES = 2 * 2**30
MAX_ASIDE = 16
LIMITS = BodyLimits(
    {
        **dict.fromkeys(("/classify", "/explain", "/nearest"), DEFAULT_LIMITS.max_bytes + 2**20),
        "/classify_batch": 128 * 2**20,
    },
    held=512 * 2**20,
)

Pixels = NDArray[np.uint8]
Item = tuple[Pixels, StoredModel]
Answer = tuple[NDArray[np.float32], bool]  # probabilities (C,), and whether it shows none of the classes


class _PackedService(Service):  # type: ignore[misc]
    """A service that packs the promoted classifiers into its Bento.

    BentoML asks for `models` when it builds (to copy them) and when it serves (to check they are
    there), never on import; what is promoted is looked up then.
    """

    @property
    def models(self) -> list[Any]:
        return [BentoModel(m.tag) for m in store.list_models() if m.promoted]

    @models.setter
    def models(self, value: list[Any]) -> None:
        """BentoML's constructor assigns an empty list."""


class _GuardedService(Service):  # type: ignore[misc]
    """A service whose outermost layer is ours, around BentoML's own counters and error pages."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        return Guard(super().to_asgi(is_main=is_main))


@bentoml.service(
    service_class=_PackedService,
    workers=1,
    traffic={"timeout": 120},
    # BentoML's client drops its connections, with what is in flight, at 100 requests or 300 s: never.
    runner_connection={"max_requests": 10**9, "max_age": 1e9},
)
class Runner:
    """Computes probabilities. One request at a time; not reachable from outside."""

    def __init__(self) -> None:
        from tellapart.classifier import Loader
        from tellapart.engine import Engine
        from tellapart.network import pick_device

        self._engine = Engine(Loader(pick_device("auto")), MAX_LOADED_BYTES)
        with suppress(TellapartError):  # a request for it gets the reason; there may be none yet
            if default := store.default_model():
                self._engine.load(str(default.path))

    @bentoml.api  # type: ignore[untyped-decorator]
    def answer(self, pixels: np.ndarray, folders: list[str]) -> list[dict[str, Any]]:
        """Calibrated probabilities, and which show none of the classes; or why not."""
        return [
            {"code": a.code, "message": str(a)} if isinstance(a, ServiceError) else {"code": "", "answer": a}
            for a in self._engine.answer(np.array(pixels), folders)
        ]

    @bentoml.api  # type: ignore[untyped-decorator]
    def look(self, pixels: np.ndarray, folder: str, class_name: str) -> dict[str, Any]:
        """`probabilities` and `none_of_these` of one picture, and the heat map of a class ("" for the answer)."""
        return _reasons(lambda: self._engine.look(np.array(pixels), folder, class_name))

    @bentoml.api  # type: ignore[untyped-decorator]
    def nearest(self, pixels: np.ndarray, folder: str, count: int) -> dict[str, Any]:
        """The pictures learned from that are most like one."""
        return _reasons(lambda: [astuple(n) for n in self._engine.nearest(np.array(pixels), folder, count)])


def _reasons(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"answer": work(), "code": "", "message": ""}
    except ServiceError as error:
        return {"code": error.code, "message": str(error)}


@bentoml.service(service_class=_GuardedService, workers=1, traffic={"timeout": 300})
class Classifier:
    """The HTTP front: which classifier answers, pictures to pixels, pixels to batches, answers to JSON."""

    runner = bentoml.depends(Runner)

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode")
        self._waiting = 0
        self._aside = Aside(MAX_ASIDE)
        self._batcher: MicroBatcher[str, Item, Answer] = MicroBatcher(
            self._compute, max_batch_size=MAX_BATCH_SIZE, max_queue=MAX_WAITING, timeout_s=TIMEOUT_S
        )

    async def one(self, upload: Upload) -> Result:
        """The answer for one picture.

        Raises:
            ServiceError: the picture cannot be used, there is no such classifier, or there is too much to do.
        """
        started = time.perf_counter()
        model = await asyncio.to_thread(self.catalogue.find, upload.model)
        return await self._classify(upload.images[0], model, upload.top_k, started)

    async def many(self, upload: Upload) -> BatchResult:
        """The answers for several pictures; one that fails has its error in its place.

        Raises:
            ServiceError: there is no such classifier.
        """
        started = time.perf_counter()
        model = await asyncio.to_thread(self.catalogue.find, upload.model)
        answers = (self._classify_or_error(data, model, upload.top_k, started) for data in upload.images)
        return BatchResult(model=model.tag, results=await asyncio.gather(*answers))

    async def explain(self, upload: Upload) -> Explanation:
        """Why a picture gets a class: the heat map and a sentence.

        Raises:
            ServiceError: as `one`; `wrong_field` for a class the classifier does not know.
        """
        model = await asyncio.to_thread(self.catalogue.find, upload.model)
        names = model.info.class_names
        if upload.class_name not in ("", *names):
            raise ServiceError("wrong_field", f"{model.tag} has no class {upload.class_name[:80]!r}")
        async with self._aside:
            size, pixels = await self._decode(upload.images[0], model)
            found = await self._ask("look", pixels=pixels[None], folder=str(model.path), class_name=upload.class_name)
            seen = Seen(names, *found)
            box = model.info.preprocessing.box(size)
            png = await asyncio.to_thread(heat_png, seen.heat, size, box)
        return Explanation.model_validate(
            {
                "model": model.tag,
                "class": names[seen.asked],
                "confidence": round(float(seen.probabilities[seen.asked]), 6),
                "sentence": sentence(seen, size, box),
                "heat_map": base64.b64encode(png).decode(),
            }
        )

    async def nearest(self, upload: Upload) -> NeighbourList:
        """The pictures learned from that are most like one.

        Raises:
            ServiceError: as `one`; `no_neighbours` where the classifier does not know what it learned from.
        """
        model = await asyncio.to_thread(self.catalogue.find, upload.model)
        async with self._aside:
            _, pixels = await self._decode(upload.images[0], model)
            found = await self._ask("nearest", pixels=pixels[None], folder=str(model.path), count=upload.count)
        names = model.info.class_names
        pictures = [{"sha256": sha256, "class": names[i], "similarity": round(s, 4)} for sha256, i, s in found]
        return NeighbourList.model_validate({"model": model.tag, "neighbours": pictures})

    async def _classify_or_error(
        self, data: bytes, model: StoredModel, top_k: int, started: float
    ) -> Result | ErrorBody:
        try:
            return await self._classify(data, model, top_k, started)
        except ServiceError as error:
            return ErrorBody(error=Problem(code=error.code, message=str(error)))

    async def _classify(self, data: bytes, model: StoredModel, top_k: int, started: float) -> Result:
        if self._waiting >= MAX_WAITING:
            raise ServiceError("overloaded", "too many pictures are waiting. Try again in a moment")
        self._waiting += 1
        try:
            size, pixels = await self._decode(data, model)
            probabilities, none_of_these = await self._batcher.submit(model.info.backbone_sha256, (pixels, model))
        finally:
            self._waiting -= 1
        return make_result(
            model.tag,
            model.info.class_names,
            probabilities.tolist(),
            size,
            top_k=top_k,
            reject_threshold=model.info.reject_threshold,
            none_of_these=none_of_these,
            time_ms=(time.perf_counter() - started) * 1000,
        )

    async def _decode(self, data: bytes, model: StoredModel) -> tuple[tuple[int, int], Pixels]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _decode, data, model.info.preprocessing)
        except ImageError as error:
            raise image_error(error) from None

    async def _compute(self, _: str, batch: list[Item]) -> Sequence[Answer | Exception]:
        pixels = np.stack([item[0] for item in batch])
        answers = await self._ask("answer", pixels=pixels, folders=[str(item[1].path) for item in batch])
        return [ServiceError(a["code"], a["message"]) if a["code"] else a["answer"] for a in answers]

    async def _ask(self, what: str, **values: Any) -> Any:
        try:
            answer = await self._ask_runner(what, values)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceError("overloaded", "the classifier is starting again. Try again in a moment") from error
        except BentoMLException as error:
            raise ServiceError("internal", "the classifier failed. The service's log says why") from error
        if isinstance(answer, dict):
            if answer["code"]:
                raise ServiceError(answer["code"], answer["message"])
            return answer["answer"]
        return answer

    async def _ask_runner(self, what: str, values: dict[str, Any]) -> Any:
        """One call; once more when an idle connection was closed just then, as computing twice does no harm."""
        runner: Any = self.runner
        try:
            return await getattr(runner.to_async, what)(**values)
        except aiohttp.ClientConnectionError:
            return await getattr(runner.to_async, what)(**values)


class Aside:
    """Lets one through at a time, so that explaining never holds up classifying; `most` may wait."""

    def __init__(self, most: int) -> None:
        self._lock = asyncio.Lock()
        self._left = most

    async def __aenter__(self) -> None:
        if not self._left:
            raise ServiceError("overloaded", "too many explanations are waiting. Try again in a moment")
        self._left -= 1
        try:
            await self._lock.acquire()
        except BaseException:
            self._left += 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._left += 1


def _decode(data: bytes, preprocessing: Preprocessing) -> tuple[tuple[int, int], Pixels]:
    """Size as shown (width, height), and the network's input (H, W, 3) uint8."""
    info: ImageInfo = probe(data)
    return (info.width, info.height), preprocessing.from_bytes(data)


_service: Service = Classifier
_service.mount_asgi_app(build_app(get_current_service, describe()), name="tellapart")
_service.add_asgi_middleware(Gate, limits=LIMITS)
