"""Micro-batching: requests that wait at the same moment are computed together."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tellapart.wire import ServiceError

Key = TypeVar("Key")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Run = Callable[[Key, list[Item]], Awaitable[Sequence[Answer | Exception]]]

_LARGEST = 32  # that a batch grows to; one that fails should not take more along


@dataclass(frozen=True)
class _Waiting(Generic[Key, Item, Answer]):
    key: Key
    item: Item
    answer: "asyncio.Future[Answer]"


class MicroBatcher(Generic[Key, Item, Answer]):
    """Collects single items into batches of one key each, and hands every caller its own answer.

    A batch leaves as soon as fewer than `concurrency` batches are computed; whatever came in
    the meantime is in the next one, or in the next ones where several may leave. There is no timer
    and no learned wait, so a lone item is never held back. An item whose caller gave up is not computed.
    Where much waits batches grow, as each costs the same beside what is in it, and never take what the
    next ones would go on with.

    Args:
        run: computes one batch; answers in the items' order, an exception for an item that failed.
            If it raises, every item of that batch fails with that error.
        batch_size: items in one batch at most, where not several times as many wait.
        max_queue: items that may wait; more are refused.
        timeout_s: seconds an item may take from submission to answer.
        concurrency: batches computed at the same time; at 0, what comes waits.
    """

    def __init__(
        self,
        run: Run[Key, Item, Answer],
        *,
        batch_size: int = 32,
        max_queue: int = 256,
        timeout_s: float = 30.0,
        concurrency: int = 1,
    ) -> None:
        self._run = run
        self._batch_size, self._concurrency = batch_size, concurrency
        self._max_queue, self._timeout_s = max_queue, timeout_s
        self._queue: deque[_Waiting[Key, Item, Answer]] = deque()
        self._batches: set[asyncio.Task[None]] = set()

    def work_with(self, *, batch_size: int, concurrency: int) -> None:
        """Change how large batches are and how many are computed at the same time, from now on."""
        self._batch_size, self._concurrency = batch_size, concurrency
        self._start_batches()

    async def submit(self, key: Key, item: Item) -> Answer:
        """The answer for one item.

        Raises:
            ServiceError: `overloaded`, as the queue is full or the time is up.
            Exception: what `run` gave for this item or raised for its batch.
        """
        if len(self._queue) >= self._max_queue:
            self._queue = deque(waiting for waiting in self._queue if not waiting.answer.done())
        if len(self._queue) >= self._max_queue:
            raise ServiceError("overloaded", "too many pictures are waiting. Try again in a moment")
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Key, Item, Answer] = _Waiting(key, item, loop.create_future())
        self._queue.append(waiting)
        loop.call_soon(self._start_batches)  # not at once: what is submitted in this turn of the loop goes together
        late = loop.call_later(self._timeout_s, _give_up, waiting.answer)
        try:
            return await waiting.answer
        finally:
            late.cancel()

    def _start_batches(self) -> None:
        while (free := self._concurrency - len(self._batches)) > 0 and (batch := self._next_batch(free)):
            task = asyncio.create_task(self._compute(batch))
            self._batches.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._start_batches()

    def _next_batch(self, free: int) -> list[_Waiting[Key, Item, Answer]]:
        """The oldest item that is still wanted and those of the same key; the rest stays, in order.

        Args:
            free: batches that may leave now.
        """
        waiting = len(self._queue)
        most = max(self._batch_size, min(waiting // (self._concurrency + 1), _LARGEST))
        most = min(most, math.ceil(waiting / free))
        batch: list[_Waiting[Key, Item, Answer]] = []
        rest: deque[_Waiting[Key, Item, Answer]] = deque()
        for item in self._queue:
            if item.answer.done():
                continue
            fits = len(batch) < most and (not batch or item.key == batch[0].key)
            (batch if fits else rest).append(item)
        self._queue = rest
        return batch

    async def _compute(self, batch: list[_Waiting[Key, Item, Answer]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._run(batch[0].key, [waiting.item for waiting in batch])
            if len(answers) != len(batch):
                raise ValueError(f"{len(answers)} answers for {len(batch)} items")
        except Exception as error:
            answers = [error] * len(batch)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)


def _give_up(answer: "asyncio.Future[Answer]") -> None:
    if not answer.done():
        answer.set_exception(ServiceError("overloaded", "the answer took too long. Try again in a moment"))
