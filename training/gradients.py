"""Passes through a network on a processor: every thread takes a few pictures on one core. Needs torch.

Threads inside each operation wait for one another hundreds of times a step, which costs most where other
programs want the cores too: with a load of 11 on two cores, 0.8 pictures/s (forward, backward, EfficientNet-Lite0)
beside 4.6 this way, in one run. What a pass gives depends on the pictures of a share alone and shares are added
in order, so the number of cores changes nothing.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch.nn.functional import cross_entropy

from tellapart.hardware import cpus
from tellapart.network import Module

SHARE = 8  # pictures a thread takes at once
T = TypeVar("T")
R = TypeVar("R")


class CorePool:
    """Threads that compute on one core each."""

    def __init__(self) -> None:
        workers = cpus()
        self._pool = ThreadPoolExecutor(workers, "pass", torch.set_num_threads, (1,))

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Results of `work` in the order of `items`."""
        return list(self._pool.map(work, items))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


def add_gradients(
    network: Module, pixels: torch.Tensor, targets: torch.Tensor, smoothing: float, dtype: torch.dtype, pool: CorePool
) -> torch.Tensor:
    """Set the gradients of the mean cross-entropy of a batch, computed by shares; returns the loss.

    Right for networks that treat each picture by itself, as with fixed normalisation.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]

    def part(chosen: slice) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = network(pixels[chosen])
        loss = cross_entropy(logits, targets[chosen], label_smoothing=smoothing, reduction="sum") / len(targets)
        return loss.detach(), torch.autograd.grad(loss, parameters)

    parts = pool.map(part, shares(len(targets)))
    for parameter, *gradients in zip(parameters, *(gradients for _, gradients in parts), strict=True):
        parameter.grad = torch.stack(gradients).sum(dim=0) if len(gradients) > 1 else gradients[0]
    return torch.stack([loss for loss, _ in parts]).sum()


def shares(count: int) -> list[slice]:
    """So many pictures cut into shares."""
    return [slice(start, min(start + SHARE, count)) for start in range(0, count, SHARE)]
