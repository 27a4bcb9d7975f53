"""The Bento service: Classifier answers HTTP, Runner computes.

    bentoml serve service:Classifier

The Classifier decodes pictures in threads, gathers what waits into batches and sends each batch as one
uint8 array to the Runner, a process of its own behind a unix socket and the only one that imports torch.
"""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
from tellapart.errors import MissingError, TellapartError
from tellapart.guard import BodyLimits, Gate, Guard
from tellapart.images import DEFAULT_LIMITS, ImageError, ImageInfo, probe
from tellapart.openapi import describe
from tellapart.preprocess import Preprocessing
from tellapart.routes import build_app
from tellapart.store import StoredModel
from tellapart.uploads import MAX_TOP_K, Upload
from tellapart.wire import (
    BatchResult,
    ErrorBody,
    Problem,
    Result,
    ServiceError,
    image_error,
    make_result,
)

MAX_BATCH_SIZE = 32
MAX_WAITING = 512
TIMEOUT_S = 30.0
MAX_LOADED = 16
LIMITS = BodyLimits(
    {"/classify": DEFAULT_LIMITS.max_bytes + 2**20, "/classify_batch": 128 * 2**20},
    held=512 * 2**20,
)

Pixels = NDArray[np.uint8]
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
        from tellapart.network import pick_device

        self._loader = Loader(pick_device("auto"))
        self._loaded: OrderedDict[str, Any] = OrderedDict()
        with suppress(TellapartError):  # a request for it gets the reason; there may be none yet
            if default := store.default_model():
                self._load(default.tag)

    @bentoml.api  # type: ignore[untyped-decorator]
    def probabilities(self, pixels: np.ndarray, tag: str) -> dict[str, Any]:
        """Calibrated probabilities, and which show none of the classes, by the classifier with that exact tag.

        Takes preprocessed pictures, (N, H, W, 3) uint8.

        A reason why not is part of the answer, as BentoML turns every exception into one kind of 500.
        """
        try:
            probabilities, none = self._load(tag).answers(np.array(pixels))
            return {"probabilities": probabilities, "none_of_these": none, "code": "", "message": ""}
        except MissingError as error:
            return {"probabilities": None, "code": "unknown_model", "message": str(error)}
        except TellapartError as error:
            return {"probabilities": None, "code": "unusable_model", "message": f"{tag} cannot be loaded: {error}"}

    def _load(self, tag: str) -> Any:
        """A classifier in memory, the least recently used one making room; a failure is not remembered."""
        if tag not in self._loaded:
            classifier = self._loader.load(store.resolve(tag).path)
            side = classifier.info.preprocessing.crop
            classifier.probabilities(np.zeros((1, side, side, 3), np.uint8))
            self._loaded[tag] = classifier
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(tag)
        return self._loaded[tag]


@bentoml.service(service_class=_GuardedService, workers=1, traffic={"timeout": 300})
class Classifier:
    """The HTTP front: which classifier answers, pictures to pixels, pixels to batches, answers to JSON."""

    runner = bentoml.depends(Runner)

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode")
        self._waiting = 0
        self._batcher: MicroBatcher[str, Pixels, Answer] = MicroBatcher(
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
            loop = asyncio.get_running_loop()
            size, pixels = await loop.run_in_executor(self._threads, _decode, data, model.info.preprocessing)
            probabilities, none_of_these = await self._batcher.submit(model.tag, pixels)
        except ImageError as error:
            raise image_error(error) from None
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

    async def _compute(self, tag: str, batch: list[Pixels]) -> Sequence[Answer]:
        pixels = np.stack(batch)
        try:
            answer = await self._ask_runner(pixels, tag)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceError("overloaded", "the classifier is starting again. Try again in a moment") from error
        except BentoMLException as error:
            raise ServiceError("internal", "the classifier failed. The service's log says why") from error
        if answer["code"]:
            raise ServiceError(answer["code"], answer["message"])
        return list(zip(answer["probabilities"], map(bool, answer["none_of_these"]), strict=True))

    async def _ask_runner(self, pixels: Pixels, tag: str) -> dict[str, Any]:
        """One call; once more when an idle connection was closed just then, as computing twice does no harm."""
        runner: Any = self.runner
        try:
            return await runner.to_async.probabilities(pixels=pixels, tag=tag)  # type: ignore[no-any-return]
        except aiohttp.ClientConnectionError:
            return await runner.to_async.probabilities(pixels=pixels, tag=tag)  # type: ignore[no-any-return]


def _decode(data: bytes, preprocessing: Preprocessing) -> tuple[tuple[int, int], Pixels]:
    """Size as shown (width, height), and the network's input (H, W, 3) uint8."""
    info: ImageInfo = probe(data)
    return (info.width, info.height), preprocessing.from_bytes(data)


_service: Service = Classifier
_service.mount_asgi_app(build_app(get_current_service, describe(MAX_TOP_K)), name="tellapart")
_service.add_asgi_middleware(Gate, limits=LIMITS)
