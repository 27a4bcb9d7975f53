"""Several processes that train one network, started by torchrun; alone, nothing of it costs anything. Needs torch.

Every process computes the gradients of its share of each batch. The first one (rank 0) does all else: it
reads the data set, decides by its clock, writes and prints. The others follow: they wait for a job,
take part in it, and end when they are told. One that dies makes the others end with an error.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from tellapart.errors import TellapartError, UsageError
from tellapart.network import pick_device

_WAIT = timedelta(minutes=10)  # for a message; a process that ends is noticed at once
_LONGEST_WAIT = timedelta(days=7)  # for a job, while the first process collects


@dataclass(frozen=True)
class World:
    """The processes of one training.

    Attributes:
        rank: which one this is, from 0.
        size: how many there are.
        device: what this one computes on.
        local_size: how many there are on this machine.
        control: the group that messages go through; None alone.
        jobs: the group that jobs go through.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009
    local_size: int = 1
    control: Any = None
    jobs: Any = None

    @property
    def leads(self) -> bool:
        """Whether this process reads, decides, writes and prints."""
        return self.rank == 0

    def agree(self, value: float) -> float:
        """The first process's value, in every process."""
        if self.control is None:
            return value
        tensor = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(tensor, 0, group=self.control)
        return float(tensor)

    def send(self, data: bytes = b"") -> bytes:
        """The first process's bytes, in every process."""
        if self.control is None:
            return data
        length = torch.tensor([len(data)])
        distributed.broadcast(length, 0, group=self.jobs)
        if not length:
            return b""
        buffer = torch.frombuffer(bytearray(data or bytes(int(length))), dtype=torch.uint8)
        distributed.broadcast(buffer, 0, group=self.jobs)
        return buffer.numpy().tobytes()

    def share(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrite tensors on the device with those of the first process."""
        if self.control is not None:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of all processes' arrays of one shape."""
        if self.control is None:
            return values
        tensor = torch.from_numpy(values.copy())
        distributed.all_reduce(tensor, group=self.control)
        result: NDArray[np.float64] = tensor.numpy()
        return result


@contextmanager
def joined(device: str, environ: Mapping[str, str] = os.environ) -> Iterator[World]:
    """Meet the other processes that torchrun started.

    Raises:
        TellapartError: another process ended, or they do not find each other.
        UsageError: no such device.
    """
    place = pick_device(device)
    if place.type == "cuda":
        place = _own_gpu(int(environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    with _ends_together():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo")
        control, jobs = (distributed.new_group(backend="gloo", timeout=wait) for wait in (_WAIT, _LONGEST_WAIT))
        local_size = int(environ.get("LOCAL_WORLD_SIZE", environ["WORLD_SIZE"]))
        rank, size = distributed.get_rank(), distributed.get_world_size()
        yield World(rank, size, place, local_size, control, jobs)
        distributed.destroy_process_group()  # after an error the process ends, and waits for nobody


def _own_gpu(number: int) -> torch.device:
    count = torch.cuda.device_count()
    if number >= count:
        raise UsageError(f"process {number + 1} on this machine has no GPU of its own", f"Start {count} at most")
    return torch.device("cuda", number)


@contextmanager
def _ends_together() -> Iterator[None]:
    """Turn what a process finds when another one is gone into one line."""
    try:
        yield
    except distributed.DistError as error:
        raise _left_alone(error) from error
    except RuntimeError as error:
        if "gloo" not in str(error).lower() and "connection" not in str(error).lower():
            raise
        raise _left_alone(error) from error


def _left_alone(error: Exception) -> TellapartError:
    return TellapartError(
        f"another process of this training ended or cannot be reached ({str(error).splitlines()[0][:120]})",
        "Run the same command again; it goes on at the last checkpoint",
    )
