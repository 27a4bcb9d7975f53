"""The Bento service: Classifier answers HTTP, Runners compute.

    bentoml serve service:Classifier

The Classifier gathers what waits into batches and sends each batch to a Runner
(`tellapart.runner`), a process of our own behind a unix socket and the only kind that imports torch.
"""

import asyncio
import base64
import gc
import math
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

import bentoml
import numpy as np
from _bentoml_sdk.service import Service, get_current_service  # type: ignore[import-untyped]
from bentoml.models import BentoModel
from numpy.typing import NDArray
from starlette.types import ASGIApp

from tellapart import connection, store
from tellapart.admission import Admission
from tellapart.catalogue import Catalogue
from tellapart.explain import Seen, heat_png, sentence
from tellapart.guard import Guard
from tellapart.hardware import cpus, visible_gpus
from tellapart.images import ImageError
from tellapart.messages import Answer
from tellapart.meters import Meters
from tellapart.openapi import describe
from tellapart.preprocess import Preprocessing
from tellapart.routes import build_app
from tellapart.runners import Runners
from tellapart.settings import load_settings
from tellapart.stopping import end_with_parent
from tellapart.store import StoredModel
from tellapart.uploads import Upload
from tellapart.verbosity import log_as_front
from tellapart.versions import Versions
from tellapart.wire import (
    MAX_BATCH_IMAGES,
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

TIMEOUT_S = 30.0
MAX_EXPLANATIONS = 16
MAX_FRONTS = 16  # one answers about 900 requests a second, more than a processor classifies

Pixels = NDArray[np.uint8]
Size = tuple[int, int]


class _OurService(Service):  # type: ignore[misc]
    """A service whose outermost layer is ours, and that packs the promoted classifiers into its Bento.

    BentoML asks for `models` when it builds (to copy them) and when it serves (to check they are
    there), never on import; what is promoted is looked up then.
    """

    @property
    def models(self) -> list[Any]:
        return [BentoModel(m.tag) for m in store.list_models() if m.promoted]

    @models.setter
    def models(self, value: list[Any]) -> None:
        """BentoML's constructor assigns an empty list."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        connection.install()
        return Guard(build_app(get_current_service, describe()), super().to_asgi(is_main=is_main))


def _fronts() -> int:
    """How many processes take requests."""
    return load_settings().fronts or (min(MAX_FRONTS, cpus()) if visible_gpus() else 1)


@bentoml.service(
    service_class=_OurService,
    workers=_fronts(),
    logging={"access": {"enabled": False}},  # `Guard` writes one line a request, with its id
)
class Classifier:
    """The HTTP front: which classifier answers, pictures to pixels, pixels to answers, answers to JSON."""

    def __init__(self) -> None:
        settings = load_settings()
        self.catalogue = Catalogue()
        self._meters = Meters()
        threads = max(2, math.ceil(cpus() / _fronts()))
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode")
        self._pictures = Admission("pictures", settings.max_waiting, self._meters)
        self._explanations = Admission("explanations", MAX_EXPLANATIONS, self._meters)
        self._one_explanation = asyncio.Lock()
        queue = max(settings.max_waiting, MAX_BATCH_IMAGES)  # a batch that is let in has room
        self._runners = Runners(self._default, self._meters, max_queue=queue, timeout_s=TIMEOUT_S)
        self._versions = Versions(self.catalogue, self._runners.load)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Begin to keep the Runners; end with BentoML's supervisor, which may be killed outright."""
        log_as_front()
        end_with_parent()
        gc.collect()
        gc.freeze()  # what was imported stays: no collection need go through it
        await self._runners.start()
        self._following = asyncio.create_task(self._versions.follow())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Nothing is in flight any more."""
        self._following.cancel()
        await self._runners.stop()

    @property
    def ready(self) -> bool:
        """What `/readyz` says."""
        return self._runners.ready

    def check_room(self) -> None:
        """Refuse what could not be answered in time, before it is read.

        Raises:
            ServiceError: `not_ready` or `overloaded`.
        """
        self._runners.check()
        self._pictures.check()

    def check_explaining(self) -> None:
        """As `check_room`, for explanations and searches.

        Raises:
            ServiceError: `not_ready` or `overloaded`.
        """
        self._runners.check()
        self._explanations.check()

    async def one(self, upload: Upload) -> Result:
        """The answer for one picture.

        Raises:
            ServiceError: the picture cannot be used, there is no such classifier, or there is too much to do.
        """
        started = time.perf_counter()
        with self._pictures.admit():
            model = await self._find(upload.model)
            return await self._classify(upload.images[0], model, upload.top_k, started)

    async def many(self, upload: Upload) -> BatchResult:
        """The answers for several pictures; one that fails has its error in its place.

        Raises:
            ServiceError: there is no such classifier, or too much to do.
        """
        started = time.perf_counter()
        with self._pictures.admit(len(upload.images)):
            model = await self._find(upload.model)
            answers = (self._classify_or_error(data, model, upload.top_k, started) for data in upload.images)
            return BatchResult(model=model.tag, results=await asyncio.gather(*answers))

    async def explain(self, upload: Upload) -> Explanation:
        """Why a picture gets a class: the heat map and a sentence.

        Raises:
            ServiceError: as `one`; `unknown_class` for one the classifier does not know.
        """
        with self._explanations.admit():
            model = await self._find(upload.model)
            names = model.info.class_names
            if upload.class_name not in ("", *names):
                raise ServiceError("unknown_class", f"{model.tag} has no class {upload.class_name[:80]!r}")
            async with _deadline("the explanation"), self._one_explanation:
                size, pixels = await self._decode(upload.images[0], model)
                seen = Seen(names, *await self._runners.look(model, pixels, upload.class_name))
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
        with self._explanations.admit():
            model = await self._find(upload.model)
            async with _deadline("the search"), self._one_explanation:
                _, pixels = await self._decode(upload.images[0], model)
                found = await self._runners.nearest(model, pixels, upload.count)
        names = model.info.class_names
        pictures = [{"sha256": sha256, "class": names[i], "similarity": round(s, 4)} for sha256, i, s in found]
        return NeighbourList.model_validate({"model": model.tag, "neighbours": pictures})

    async def _default(self) -> StoredModel | None:
        with suppress(ServiceError):
            return await asyncio.to_thread(self.catalogue.find, "")
        return None

    async def _find(self, model: str) -> StoredModel:
        async with _deadline("loading the classifier"):
            return await self._versions.find(model)

    async def _classify_or_error(
        self, data: bytes, model: StoredModel, top_k: int, started: float
    ) -> Result | ErrorBody:
        try:
            return await self._classify(data, model, top_k, started)
        except ServiceError as error:
            return ErrorBody(error=Problem(code=error.code, message=str(error)))

    async def _classify(self, data: bytes, model: StoredModel, top_k: int, started: float) -> Result:
        size, (probabilities, none_of_these) = await self._answer(data, model)
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

    async def _answer(self, data: bytes, model: StoredModel) -> tuple[Size, Answer]:
        """From a Runner that decodes by itself; what it does not take is decoded here."""
        found = await self._runners.read(model, data)
        if found is None:
            size, pixels = await self._decode(data, model)
            found = size, await self._runners.answer(model, pixels)
        return found

    async def _decode(self, data: bytes, model: StoredModel) -> tuple[Size, Pixels]:
        loop = asyncio.get_running_loop()
        try:
            async with _deadline("decoding the picture"):
                size, pixels, seconds = await loop.run_in_executor(
                    self._threads, _decode, data, model.info.preprocessing
                )
        except ImageError as error:
            raise image_error(error) from None
        self._meters.decode.observe(seconds)
        return size, pixels


@asynccontextmanager
async def _deadline(what: str) -> AsyncIterator[None]:
    """Let nothing take longer than `TIMEOUT_S`.

    Raises:
        ServiceError: `overloaded`.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except TimeoutError:
        raise ServiceError("overloaded", f"{what} took too long. Try again in a moment") from None


def _decode(data: bytes, preprocessing: Preprocessing) -> tuple[Size, Pixels, float]:
    """Size as shown (width, height), the network's input (H, W, 3) uint8, and the seconds it took."""
    started = time.perf_counter()
    return *preprocessing.read(data), time.perf_counter() - started
