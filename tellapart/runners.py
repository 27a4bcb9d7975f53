"""All Runners as the front sees them: what waits becomes batches, batches go to whichever Runner is free."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.batcher import MicroBatcher
from tellapart.hardware import cpus, visible_gpus
from tellapart.messages import ORDINARY, Answer, Head, Look, Piece, read_answers
from tellapart.meters import Meters
from tellapart.preprocess import Preprocessing
from tellapart.runner_link import RunnerLink, starting
from tellapart.store import StoredModel
from tellapart.wire import ServiceError

Pixels = NDArray[np.uint8]
Neighbour = tuple[str, int, float]  # sha256, class index, similarity
Size = tuple[int, int]
_Together = tuple[str, str, Preprocessing]  # what is to be done, and by which backbone; equal ones may share a batch
_Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Item:
    data: Piece
    folder: str
    since: float


class Runners:
    """Computes answers, in as many Runner processes as there are GPUs, or in one on the processor.

    Args:
        default: the classifier that is loaded before the service counts as ready, if there is one.
        max_queue: decoded pictures that may wait.
        timeout_s: seconds a picture may wait.
    """

    def __init__(
        self, default: Callable[[], Awaitable[StoredModel | None]], meters: Meters, *, max_queue: int, timeout_s: float
    ) -> None:
        self._default, self._meters = default, meters
        self._started = 0
        self._failed: dict[str, tuple[_Stamp, ServiceError]] = {}
        gpus = len(visible_gpus())
        streams = 2 if gpus else cpus()
        lanes = {"answer": streams, "load": 1, "aside": 1}
        self._links = [RunnerLink(i, lanes, self._prepare, self._share_out) for i in range(gpus or 1)]
        self._loaded: dict[RunnerLink, set[str]] = {link: set() for link in self._links}
        self._tuned: dict[RunnerLink, bool] = dict.fromkeys(self._links, False)
        self._batch, self._streams = 1, 1  # as tuned
        self._reads = False
        self._batcher: MicroBatcher[_Together, _Item, Any] = MicroBatcher(
            self._compute,
            max_queue=max_queue,
            timeout_s=timeout_s,
            concurrency=0,
        )

    @property
    def ready(self) -> bool:
        """Whether every Runner can compute."""
        return all(link.ready for link in self._links)

    async def start(self) -> None:
        """Begin to keep the Runners; returns before those are ready that have to be started."""
        await asyncio.gather(*(link.start() for link in self._links))

    async def stop(self) -> None:
        """Let go of them; what is in flight should be answered by now."""
        for link in self._links:
            await link.stop()

    def check(self) -> None:
        """Refuse what no Runner could compute now.

        Raises:
            ServiceError: `not_ready`.
        """
        if not any(link.ready for link in self._links):
            raise starting()

    async def load(self, model: StoredModel) -> None:
        """Have a classifier in the memory of every Runner that answers; one that starts loads it before it does.

        What could not be loaded is tried again once its files changed.

        Raises:
            ServiceError: `unusable_model`, or `not_ready`.
        """
        folder = str(model.path)
        links = [link for link in self._links if link.ready] or self._links[:1]
        missing = [link for link in links if folder not in self._loaded[link]]
        if not missing:
            return
        stamp = _stamp(model.path)
        failed = self._failed.get(folder)
        if failed and failed[0] == stamp:
            raise failed[1]
        try:
            for link in missing:
                await self._load(link, folder)
        except ServiceError as error:
            if error.code == "unusable_model":
                self._failed[folder] = stamp, error
            raise
        self._failed.pop(folder, None)

    async def _load(self, link: RunnerLink, folder: str) -> None:
        await link.ask("load", {"do": "load", "folder": folder})
        if not self._tuned[link]:  # it started before there was any classifier
            await self._tune(link, folder)
        self._loaded[link].add(folder)

    async def answer(self, model: StoredModel, pixels: Pixels) -> Answer:
        """The answer for a preprocessed picture (H, W, 3).

        Raises:
            ServiceError: as the batcher and the Runner refuse.
        """
        answer: Answer = await self._submit("answer", model, pixels.data.cast("B"))
        return answer

    async def read(self, model: StoredModel, data: bytes) -> tuple[Size, Answer] | None:
        """Size and answer of a picture as a file; None where it is to be decoded first.

        Raises:
            ServiceError: as `answer`.
        """
        if not self._reads or len(data) > ORDINARY.max_bytes:
            return None
        found: tuple[Size, Answer] | None = await self._submit("read", model, data)
        return found

    async def _submit(self, do: str, model: StoredModel, data: Piece) -> Any:
        info = model.info
        together = do, info.backbone_sha256, info.preprocessing
        return await self._batcher.submit(together, _Item(data, str(model.path), time.perf_counter()))

    async def look(self, model: StoredModel, pixels: Pixels, class_name: str) -> Look:
        """The answer for a picture (H, W, 3), and what speaks for a class, "" for the answer."""
        head = {"do": "look", "folder": str(model.path), "shape": [1, *pixels.shape], "class_name": class_name}
        answer, body = await self._free().ask("aside", head, pixels.data.cast("B"))
        numbers = np.frombuffer(body, np.float32)
        heat = numbers[answer["classes"] :].reshape(answer["heat"])
        return numbers[: answer["classes"]], answer["none_of_these"], answer["asked"], heat

    async def nearest(self, model: StoredModel, pixels: Pixels, count: int) -> list[Neighbour]:
        """The pictures that a classifier learned from and that are most like one (H, W, 3)."""
        head = {"do": "nearest", "folder": str(model.path), "shape": [1, *pixels.shape], "count": count}
        answer, _ = await self._free().ask("aside", head, pixels.data.cast("B"))
        return [(sha256, index, similarity) for sha256, index, similarity in answer["neighbours"]]

    async def _prepare(self, link: RunnerLink) -> None:
        self._loaded[link].clear()
        self._started += 1
        if self._started > len(self._links):
            self._meters.restarts.inc()
        model = await self._default()
        await self._tune(link, str(model.path) if model else "")
        for folder in set().union(*self._loaded.values()):
            try:
                await self._load(link, folder)
            except ServiceError as error:  # who asks for it gets the reason
                if error.code != "unusable_model":
                    raise

    async def _tune(self, link: RunnerLink, folder: str) -> None:
        tuning, _ = await link.ask("load", {"do": "prepare", "folder": folder})
        self._tuned[link] = tuning["tuned"]
        self._batch, self._streams = tuning["batch"], tuning["streams"]
        self._reads = not visible_gpus() and tuning["threads"] == 1  # else the front decodes meanwhile
        self._share_out()

    def _share_out(self) -> None:
        """Compute as many batches as there are Runners for; where there is none, what waits is kept for the next."""
        ready = sum(link.ready for link in self._links)
        self._batcher.work_with(batch_size=self._batch, concurrency=self._streams * ready)

    def _free(self) -> RunnerLink:
        return min(self._links, key=lambda link: (not link.ready, link.under_way))

    async def _compute(self, together: _Together, batch: list[_Item]) -> Sequence[Any]:
        do, _, preprocessing = together
        now = time.perf_counter()
        self._meters.batch_size.observe(len(batch))
        for item in batch:
            self._meters.queue.observe(now - item.since)
        head: Head = {"do": do, "folders": [item.folder for item in batch]}
        if do == "read":
            head |= {"lengths": [len(item.data) for item in batch], "preprocessing": preprocessing.to_json()}
        else:
            head["shape"] = [len(batch), preprocessing.crop, preprocessing.crop, 3]
        answer, body = await self._free().ask("answer", head, *(item.data for item in batch))
        decoding = answer.get("decoding", 0.0)
        self._meters.model.observe(answer["seconds"] - decoding)
        answers = read_answers(answer, body)
        if do == "answer":
            return answers
        for _ in batch:
            self._meters.decode.observe(decoding / len(batch))
        rest = iter(answers)
        return [None if size is None else _with_size(size, next(rest)) for size in answer["sizes"]]


def _with_size(size: list[int], answer: Answer | Exception) -> tuple[Size, Answer] | Exception:
    return answer if isinstance(answer, Exception) else ((size[0], size[1]), answer)


def _stamp(folder: Path) -> _Stamp:
    """Changes when a bundle's files do."""
    try:
        return tuple(sorted((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in folder.iterdir()))
    except OSError:
        return ()
