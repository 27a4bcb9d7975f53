"""How batches get to a GPU and their features back, some of them side by side. Needs torch.

A copy from ordinary memory holds up whoever asks for it, and all that is asked for in one stream is done in turn. So a
few threads compute, each in a stream of its own and from page-locked memory: one batch is copied while another is
computed. They are always the same threads, and batches have few sizes, as cuDNN plans a convolution anew for each.
Starting a network's many kernels takes a processor as long for one picture as for dozens, so what waits meanwhile, of
all fronts, is computed together.
"""

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Forward = Callable[[torch.Tensor], torch.Tensor]  # pictures (N, H, W, 3) uint8 to features (N, D) float32
Pixels = NDArray[np.uint8]
Features = NDArray[np.float32]
R = TypeVar("R")

_STREAMS = 2
_TOGETHER = 64
_PLANNED_S = 300.0


@cache
def streams_of(device: torch.device) -> "Streams":
    """The one there is in this process for a device."""
    return Streams(device)


def rounded(count: int) -> int:
    """The size of the batch in which so many pictures are computed: a power of two up to 8, else a multiple of 8."""
    return 1 << (count - 1).bit_length() if 0 < count <= 8 else max(1, -(-count // 8) * 8)


def in_parts(work: Callable[[int], R], parts: int, most: int) -> tuple[R, int]:
    """What `work(parts)` gives, and the parts: twice as many as long as a GPU has too little memory for it.

    Raises:
        torch.OutOfMemoryError: it has too little for `most` parts, too.
    """
    while True:
        try:
            return work(parts), parts
        except torch.OutOfMemoryError:
            if parts >= most:
                raise
        torch.cuda.empty_cache()  # only here, as until then the error held what was computed
        parts = min(most, 2 * parts)


@dataclass(frozen=True, eq=False)
class _Job:
    forward: Forward
    pixels: Pixels
    features: "Future[Features]" = field(default_factory=Future)

    def goes_with(self, other: "_Job") -> bool:
        return self.forward is other.forward and self.pixels.shape[1:] == other.pixels.shape[1:]


class Streams:
    """Computes features on a device. Safe for threads.

    Args:
        device: a GPU; the processor does the same without streams, for tests.
        count: batches side by side.
        most: pictures of those that are computed together.
    """

    def __init__(self, device: torch.device, count: int = _STREAMS, most: int = _TOGETHER) -> None:
        self._device, self._count, self._most = device, count, most
        self._fits = math.inf  # pictures for which there was memory, once there was too little for more
        self._kind = torch.get_device_module(device)
        self._waiting: list[_Job] = []
        self._come = threading.Condition()
        for _ in range(count):
            made = self._kind.Stream(device), self._event()
            threading.Thread(target=self._work, args=made, daemon=True).start()

    def run(self, forward: Forward, pixels: Pixels) -> Features:
        """Features (N, D) of pictures (N, H, W, 3).

        Raises:
            Exception: what `forward` raised, for whoever's pictures were in it.
        """
        job = _Job(forward, pixels)
        self._put([job])
        return job.features.result()

    def warm_up(self, forward: Forward, pixels: Pixels) -> None:
        """Compute a batch once in every stream."""
        all_there = threading.Barrier(self._count, timeout=_PLANNED_S)
        met: set[int] = set()

        def meet(number: int, staged: torch.Tensor) -> torch.Tensor:
            if number not in met:  # else it is a part of a batch that was too large
                met.add(number)
                all_there.wait()
            return forward(staged)

        jobs = [_Job(partial(meet, number), pixels) for number in range(self._count)]
        self._put(jobs)
        for job in jobs:
            job.features.result()

    def _put(self, jobs: Sequence[_Job]) -> None:
        with self._come:
            self._waiting.extend(jobs)
            self._come.notify(len(jobs))

    def _take(self) -> list[_Job]:
        """The oldest job, and those after it that may be computed with it."""
        with self._come:
            self._come.wait_for(lambda: self._waiting)
            first, *others = self._waiting
            taken, self._waiting = [first], []
            room = min(self._most, self._fits) - len(first.pixels)
            for job in others:
                if job.goes_with(first) and len(job.pixels) <= room:
                    taken.append(job)
                    room -= len(job.pixels)
                else:
                    self._waiting.append(job)
            return taken

    def _work(self, stream: Any, done: Any) -> None:
        with torch.inference_mode(), self._kind.stream(stream):
            while True:
                self._serve(done)

    def _event(self) -> Any:
        """One that lets a thread sleep while it waits, where the usual kind keeps a core busy."""
        return self._kind.Event(blocking=True) if self._device.type == "cuda" else self._kind.Event()

    def _serve(self, done: Any) -> None:
        jobs = self._take()
        try:
            features = self._compute(jobs, done)
        except Exception as error:
            for job in jobs:
                job.features.set_exception(error)
        else:
            ends = np.cumsum([len(job.pixels) for job in jobs])
            for job, found in zip(jobs, np.split(features, ends[:-1]), strict=True):
                job.features.set_result(found)

    def _compute(self, jobs: Sequence[_Job], done: Any) -> Features:
        forward, pixels = jobs[0].forward, [job.pixels for job in jobs]
        count = sum(len(some) for some in pixels)

        def work(parts: int) -> Features:
            if parts == 1:
                return self._pass(forward, pixels, done)
            pieces = np.array_split(np.concatenate(pixels), parts)
            return np.concatenate([self._pass(forward, [piece], done) for piece in pieces])

        begun = max(1, math.ceil(count / self._fits))
        features, parts = in_parts(work, begun, count)
        if parts > begun:
            self._fits = min(self._fits, math.ceil(count / parts))
        return features

    def _pass(self, forward: Forward, pixels: Sequence[Pixels], done: Any) -> Features:
        count = sum(len(some) for some in pixels)
        staged = self._locked((rounded(count), *pixels[0].shape[1:]), torch.uint8)
        np.concatenate(pixels, out=staged.numpy()[:count])  # what is beyond them nobody looks at
        found = forward(staged.to(self._device, non_blocking=True))[:count]
        features = self._locked(found.shape, found.dtype).copy_(found, non_blocking=True)
        done.record()
        done.synchronize()
        numbers: Features = features.numpy()
        return numbers

    def _locked(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Memory that the device copies from and to by itself; torch keeps what was used for its next use."""
        return torch.empty(*shape, dtype=dtype, pin_memory=self._device.type == "cuda")
