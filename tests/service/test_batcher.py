"""The batcher, with a computation that is known by hand: every item is doubled."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tellapart.batcher import MicroBatcher
from tellapart.wire import ServiceError
from tests.service.hasty import HastyLoop


class Doubler:
    """Doubles numbers; remembers its batches, and waits for `open` where a gate is closed."""

    def __init__(self, closed: bool = False) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        if not closed:
            self.gate.set()

    async def __call__(self, key: str, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append((key, items))
        self.begun.set()
        await self.gate.wait()
        return [ValueError("odd thirteen") if item == 13 else 2 * item for item in items]


def batcher(run: Any, **options: Any) -> MicroBatcher[str, int, int]:
    return MicroBatcher(run, **options)


async def occupied(run: Doubler, **options: Any) -> tuple[MicroBatcher[str, int, int], "asyncio.Task[int]"]:
    """A batcher that is computing the item 1, so that what comes now has to wait."""
    made = batcher(run, **options)
    first = asyncio.create_task(made.submit("a", 1))
    await run.begun.wait()
    return made, first


def test_a_lone_item_goes_at_once_and_alone() -> None:
    async def body() -> None:
        run = Doubler()
        assert await batcher(run).submit("a", 21) == 42
        assert run.batches == [("a", [21])]

    asyncio.run(body())


def test_what_waits_together_shares_a_batch_and_everyone_gets_their_own_answer() -> None:
    async def body() -> None:
        run = Doubler(closed=True)
        made, first = await occupied(run)
        rest = [asyncio.create_task(made.submit("a", i)) for i in range(2, 7)]
        await asyncio.sleep(0)
        run.gate.set()
        assert await asyncio.gather(first, *rest) == [2, 4, 6, 8, 10, 12]
        assert run.batches == [("a", [1]), ("a", [2, 3, 4, 5, 6])]

    asyncio.run(body())


def test_what_comes_while_nothing_may_be_computed_waits_in_order() -> None:
    async def body() -> None:
        run = Doubler()
        made = batcher(run, concurrency=0)
        waiting = [asyncio.create_task(made.submit("a", i)) for i in range(3)]
        await asyncio.sleep(0.01)
        assert run.batches == []
        made.work_with(batch_size=2, concurrency=1)
        assert await asyncio.gather(*waiting) == [0, 2, 4]
        assert run.batches == [("a", [0, 1]), ("a", [2])]

    asyncio.run(body())


def test_batches_hold_one_key_and_at_most_the_given_number() -> None:
    async def body() -> None:
        run = Doubler(closed=True)
        made, first = await occupied(run, batch_size=2)
        waiting = [asyncio.create_task(made.submit(key, i)) for i, key in enumerate("abaab", start=20)]
        await asyncio.sleep(0)
        run.gate.set()
        assert await asyncio.gather(first, *waiting) == [2, 40, 42, 44, 46, 48]
        assert run.batches == [("a", [1]), ("a", [20, 22]), ("b", [21, 24]), ("a", [23])]

    asyncio.run(body())


def test_batches_grow_where_much_waits() -> None:
    """Half of it goes where one batch may leave: 4 of 9, then 2 of 5, as many as always."""

    async def body() -> None:
        run = Doubler(closed=True)
        made, first = await occupied(run, batch_size=2)
        waiting = [asyncio.create_task(made.submit("a", i)) for i in range(9)]
        await asyncio.sleep(0)
        run.gate.set()
        await asyncio.gather(first, *waiting)
        assert [len(items) for _, items in run.batches] == [1, 4, 2, 2, 1]

    asyncio.run(body())


def test_what_waits_is_shared_out_where_several_batches_may_leave() -> None:
    async def body() -> None:
        run = Doubler()
        made = batcher(run, batch_size=8, concurrency=2)
        await asyncio.gather(*(made.submit("a", i) for i in range(5)))
        assert run.batches == [("a", [0, 1, 2]), ("a", [3, 4])]

    asyncio.run(body())


def test_an_item_that_fails_fails_alone() -> None:
    async def body() -> list[Any]:
        made = batcher(Doubler())
        return await asyncio.gather(*(made.submit("a", i) for i in (12, 13, 14)), return_exceptions=True)

    first, second, third = asyncio.run(body())
    assert (first, third) == (24, 28)
    assert isinstance(second, ValueError)


def test_a_batch_that_raises_fails_its_items_and_not_the_next() -> None:
    async def body() -> None:
        async def run(key: str, items: list[int]) -> list[int]:
            if key == "broken":
                raise ServiceError("unusable_model", "no")
            return items

        made = batcher(run)
        answers = await asyncio.gather(made.submit("broken", 1), made.submit("good", 2), return_exceptions=True)
        assert isinstance(answers[0], ServiceError)
        assert answers[1] == 2

    asyncio.run(body())


def test_a_computation_that_returns_too_few_answers_is_an_error_for_all() -> None:
    async def body() -> None:
        async def run(key: str, items: list[int]) -> list[int]:
            return items[:-1]

        with pytest.raises(ValueError, match="0 answers for 1 items"):
            await batcher(run).submit("a", 1)

    asyncio.run(body())


def test_an_item_whose_caller_gave_up_is_not_computed() -> None:
    async def body() -> None:
        run = Doubler(closed=True)
        made, first = await occupied(run)
        leaving, staying = (asyncio.create_task(made.submit("a", i)) for i in (2, 3))
        await asyncio.sleep(0)
        leaving.cancel()
        run.gate.set()
        assert await asyncio.gather(first, staying) == [2, 6]
        assert run.batches == [("a", [1]), ("a", [3])]

    asyncio.run(body())


def test_a_full_queue_refuses_and_goes_on() -> None:
    async def body() -> None:
        run = Doubler(closed=True)
        made, first = await occupied(run, max_queue=2)
        waiting = [asyncio.create_task(made.submit("a", i)) for i in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceError) as refusal:
            await made.submit("a", 4)
        assert refusal.value.code == "overloaded"
        run.gate.set()
        assert await asyncio.gather(first, *waiting) == [2, 4, 6]
        assert await made.submit("a", 5) == 10

    asyncio.run(body())


def test_who_gave_up_takes_no_place_in_the_queue() -> None:
    async def body() -> None:
        run = Doubler(closed=True)
        made, first = await occupied(run, max_queue=2)
        waiting = [asyncio.create_task(made.submit("a", i)) for i in (2, 3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        another = asyncio.create_task(made.submit("a", 4))
        await asyncio.sleep(0)
        run.gate.set()
        assert await asyncio.gather(first, waiting[1], another) == [2, 6, 8]

    asyncio.run(body())


def test_an_answer_that_takes_too_long_is_overload() -> None:
    async def body() -> None:
        run = Doubler(closed=True)
        made, first = await occupied(run, timeout_s=10)
        with pytest.raises(ServiceError) as refusal:
            await made.submit("a", 2)
        assert refusal.value.code == "overloaded"
        with pytest.raises(ServiceError):
            await first
        run.gate.set()
        assert await made.submit("a", 3) == 6
        assert [items for _, items in run.batches] == [[1], [3]]

    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        runner.run(body())
