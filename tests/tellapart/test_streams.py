"""What a GPU's batches go through, on a processor, with forward passes that are known by hand."""

import gc
import threading
import time
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from tellapart.backbones import BACKBONES
from tellapart.network import FeatureExtractor, build_module
from tellapart.streams import Streams, rounded

CPU = torch.device("cpu")


def pictures(*values: int) -> Any:
    """One of a single colour for each value, two pixels a side."""
    return np.array(values, np.uint8)[:, None, None, None].repeat(2, 1).repeat(2, 2).repeat(3, 3)


def twice(staged: torch.Tensor) -> torch.Tensor:
    """Two features: a picture's colour, and twice that."""
    colour = staged[:, 0, 0, 0].float()
    return torch.stack([colour, 2 * colour], dim=1)


class Held:
    """A pass that waits in its thread until it is let go on; notes the sizes of the batches it is given."""

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()
        self.sizes: list[int] = []

    def __call__(self, staged: torch.Tensor) -> torch.Tensor:
        self.begun.set()
        assert self.gate.wait(60)
        self.sizes.append(len(staged))
        return twice(staged)


@pytest.mark.parametrize(
    ("count", "size"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 8), (8, 8), (9, 16), (17, 24), (64, 64)]
)
def test_batches_have_few_sizes(count: int, size: int) -> None:
    assert rounded(count) == size
    seen: list[int] = []

    def forward(staged: torch.Tensor) -> torch.Tensor:
        seen.append(len(staged))
        return twice(staged)

    features = Streams(CPU, count=1).run(forward, pictures(*range(count)))
    assert seen == [size]
    assert features.tolist() == [[value, 2 * value] for value in range(count)]


def queued(streams: Streams, asking: ThreadPoolExecutor, forward: Any, *values: int) -> "Future[Any]":
    """Ask for features; returns once that waits."""
    before = len(streams._waiting)
    answer = asking.submit(streams.run, forward, pictures(*values))
    while len(streams._waiting) == before:
        time.sleep(0.001)
    return answer


def test_what_waits_for_the_same_pass_is_computed_together_and_each_gets_its_own() -> None:
    held, other = Held(), Held()
    other.gate.set()
    streams = Streams(CPU, count=1, most=8)
    with ThreadPoolExecutor(8) as asking:
        first = asking.submit(streams.run, held, pictures(1))
        assert held.begun.wait(60)
        alone = [queued(streams, asking, held, 2, 3, 4), queued(streams, asking, other, 5)]
        rest = [queued(streams, asking, held, 6, 7), queued(streams, asking, held, *range(10, 14))]
        held.gate.set()
        found = [answer.result(60).tolist() for answer in (first, *alone, *rest)]
    assert held.sizes == [1, 8, 4]  # 3 and 2 pictures in a batch of 8; 4 more would not have fitted
    assert other.sizes == [1]
    values = [[1], [2, 3, 4], [5], [6, 7], [10, 11, 12, 13]]
    assert found == [[[value, 2 * value] for value in some] for some in values]


def test_pictures_of_another_size_are_not_computed_together() -> None:
    held = Held()
    streams = Streams(CPU, count=1)
    with ThreadPoolExecutor(3) as asking:
        first = asking.submit(streams.run, held, pictures(1))
        assert held.begun.wait(60)
        small = queued(streams, asking, held, 2)
        large = asking.submit(streams.run, held, np.full((1, 4, 4, 3), 3, np.uint8))
        held.gate.set()
        assert [answer.result(60).tolist() for answer in (first, small, large)] == [[[1, 2]], [[2, 4]], [[3, 6]]]
    assert held.sizes == [1, 1, 1]


def test_batches_are_computed_side_by_side() -> None:
    both = threading.Barrier(2, timeout=60)

    def forward(staged: torch.Tensor) -> torch.Tensor:
        both.wait()
        return twice(staged)

    def another(staged: torch.Tensor) -> torch.Tensor:
        return forward(staged)

    streams = Streams(CPU, count=2)
    with ThreadPoolExecutor(2) as asking:
        answers = [asking.submit(streams.run, each, pictures(4)) for each in (forward, another)]
        assert [answer.result(60).tolist() for answer in answers] == [[[4, 8]]] * 2


def test_a_failure_is_told_to_all_whose_pictures_were_in_it_and_the_next_is_computed() -> None:
    held = Held()

    def fails(staged: torch.Tensor) -> torch.Tensor:
        raise MemoryError(len(staged))

    streams = Streams(CPU, count=1)
    with ThreadPoolExecutor(3) as asking:
        first = asking.submit(streams.run, held, pictures(1))
        assert held.begun.wait(60)
        failing = [queued(streams, asking, fails, 2), queued(streams, asking, fails, 3, 4)]
        held.gate.set()
        assert first.result(60).tolist() == [[1, 2]]
        for answer in failing:
            with pytest.raises(MemoryError, match="4"):
                answer.result(60)
    assert streams.run(twice, pictures(9)).tolist() == [[9, 18]]


class Small:
    """A pass on a device that has memory for two pictures; notes the sizes of the batches it is given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, staged: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(staged))
        if len(staged) > 2:
            raise torch.OutOfMemoryError("too many")
        return twice(staged)


def test_what_is_too_large_for_the_memory_is_computed_in_parts_and_batches_are_smaller_from_then_on() -> None:
    small, held = Small(), Held()
    streams = Streams(CPU, count=1, most=8)
    assert streams.run(small, pictures(*range(7))).tolist() == [[value, 2 * value] for value in range(7)]
    assert small.sizes == [8, 4, 2, 2, 2, 1]  # in one part, two, then four
    assert streams.run(small, pictures(*range(5))).tolist() == [[value, 2 * value] for value in range(5)]
    assert small.sizes[6:] == [2, 2, 1]  # 5 pictures in three parts, the first time they are tried
    with ThreadPoolExecutor(4) as asking:
        first = asking.submit(streams.run, held, pictures(1))
        assert held.begun.wait(60)
        rest = [queued(streams, asking, held, value) for value in (2, 3, 4)]
        held.gate.set()
        assert [answer.result(60).tolist() for answer in (first, *rest)] == [[[n, 2 * n]] for n in (1, 2, 3, 4)]
    assert held.sizes == [1, 2, 1]


def test_a_picture_that_is_too_large_by_itself_is_a_failure() -> None:
    def full(staged: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("none left")

    with pytest.raises(torch.OutOfMemoryError, match="none left"):
        Streams(CPU, count=1).run(full, pictures(1, 2, 3))


def test_every_stream_is_warmed_up_where_memory_is_short_too() -> None:
    small = Small()
    Streams(CPU, count=2).warm_up(small, pictures(1, 2, 3, 4))
    assert sorted(small.sizes) == [2, 2, 2, 2, 4, 4]


def test_every_stream_is_warmed_up() -> None:
    threads: list[int] = []

    def forward(staged: torch.Tensor) -> torch.Tensor:
        threads.append(threading.get_ident())
        return twice(staged)

    Streams(CPU, count=3).warm_up(forward, pictures(1, 2))
    assert len(threads) == len(set(threads)) == 3


def test_what_was_computed_with_is_let_go_of() -> None:
    """Else a backbone that made room would stay in memory until the next request."""
    streams, held = Streams(CPU, count=1), Held()
    held.gate.set()
    streams.run(held, pictures(1))
    streams.run(twice, pictures(1))  # its answer comes after the other batch is done with
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is None


def test_features_are_those_of_the_pass_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    extractor = FeatureExtractor(build_module(BACKBONES["resnet18"]), BACKBONES["resnet18"].preprocessing)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    expected = extractor(pixels)
    monkeypatch.setattr(extractor, "_streams", Streams(CPU))
    extractor.warm_up(64, 5)
    assert np.abs(extractor(pixels) - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_computes_what_a_processor_does() -> None:
    torch.manual_seed(0)
    how = BACKBONES["resnet18"].preprocessing
    module = build_module(BACKBONES["resnet18"])
    twin = build_module(BACKBONES["resnet18"])
    twin.load_state_dict(module.state_dict())
    on_processor = FeatureExtractor(module, how, dtype=torch.float32)
    on_gpu = FeatureExtractor(twin, how, torch.device("cuda"))
    pixels = np.random.default_rng(0).integers(0, 256, (24, 96, 96, 3), dtype=np.uint8)
    expected = on_processor(pixels)
    on_gpu.warm_up(96, 24)
    with ThreadPoolExecutor(8) as asking:
        found = np.concatenate(list(asking.map(lambda at: on_gpu(pixels[at : at + 3]), range(0, 24, 3))))
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.99
