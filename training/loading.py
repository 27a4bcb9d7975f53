"""Pictures to batches: which ones in which order, made ready ahead of the network. Needs torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset

from tellapart.dataset import Sample
from tellapart.errors import DataError
from tellapart.hardware import cpus
from training.augment import Augmentation
from training.decoded import PictureCache
from training.distributed import World

BALANCE = 0.5  # 0 takes classes as they come, 1 makes them equal
_MAX_WORKERS = 16
_PREFETCH = 4  # batches, a worker
_MIX = 0x0EDE  # keeps the draws of orders apart from those of augmentation

Batch = tuple[torch.Tensor, torch.Tensor]
Loader = DataLoader[Batch | DataError]  # see `read`
Place = tuple[int, int, int]  # index of the sample, epoch, place in the epoch


def epoch_order(targets: NDArray[np.int64], epoch: int, seed: int, balance: float = BALANCE) -> NDArray[np.int64]:
    """As many indices as there are pictures, a class drawn in proportion to (its pictures) ** (1 - balance).

    Within a class every picture comes up before one comes up again. The square root between natural and
    equal shares is that of Mahajan et al. 2018, "Exploring the Limits of Weakly Supervised Pretraining".
    """
    draw = np.random.default_rng((seed, epoch, _MIX))
    counts = np.bincount(targets)
    shares = np.where(counts > 0, counts.astype(np.float64) ** (1 - balance), 0)
    quotas = _whole(shares / shares.sum() * len(targets))
    chosen = [_cycle(np.flatnonzero(targets == i), quota, draw) for i, quota in enumerate(quotas) if quota]
    order: NDArray[np.int64] = draw.permutation(np.concatenate(chosen))
    return order


def _whole(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers nearest to shares, of the same sum: the largest remainders are rounded up."""
    floor = np.floor(shares).astype(np.int64)
    short = round(shares.sum()) - int(floor.sum())
    floor[np.argsort(-(shares - floor), kind="stable")[:short]] += 1
    return floor


def _cycle(members: NDArray[np.int64], quota: int, draw: np.random.Generator) -> NDArray[np.int64]:
    rounds = -(-quota // len(members))
    return np.concatenate([draw.permutation(members) for _ in range(rounds)])[:quota]


class EpochBatches:
    """The batches of one epoch that this process takes, as places; a batch sampler.

    A batch of all processes together is cut among them in order, so their number changes which of them sees
    a picture and nothing else. The last batch is filled up from the beginning.

    Attributes:
        epoch: set before each pass.
        steps: batches in an epoch.
    """

    def __init__(self, targets: NDArray[np.int64], batch_size: int, seed: int, world: World) -> None:
        self._targets, self._seed, self._world = targets, seed, world
        self._each = max(1, min(batch_size, len(targets) // world.size))
        self.steps = -(-len(targets) // (self._each * world.size))
        self.epoch = 0

    def __iter__(self) -> Iterator[list[Place]]:
        order = epoch_order(self._targets, self.epoch, self._seed)
        filled = np.resize(order, (self.steps, self._world.size, self._each))
        places = np.arange(filled.size).reshape(filled.shape)
        for indices, where in zip(filled[:, self._world.rank], places[:, self._world.rank], strict=True):
            yield [(int(i), self.epoch, int(p)) for i, p in zip(indices, where, strict=True)]

    def __len__(self) -> int:
        return self.steps


@dataclass(frozen=True)
class Augmented(TorchDataset[Batch]):
    """Training pictures by their place."""

    samples: Sequence[Sample]
    pictures: PictureCache
    augmentation: Augmentation

    def __getitem__(self, place: Place) -> Batch:
        """An augmented picture (side, side, 3) uint8 and its class index."""
        index, epoch, where = place
        sample = self.samples[index]
        return self.augmentation(self.pictures.get(sample), epoch, where), torch.tensor(sample.class_index)


@dataclass(frozen=True)
class Plain(TorchDataset[Batch]):
    """Pictures exactly as evaluation and service see them."""

    samples: Sequence[Sample]
    pictures: PictureCache

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        """A picture (crop, crop, 3) uint8 and its class index."""
        sample = self.samples[index]
        return torch.from_numpy(np.array(self.pictures.get(sample))), torch.tensor(sample.class_index)


@dataclass(frozen=True)
class _Telling(TorchDataset[Batch | DataError]):
    """What cannot be read as a value: raised in a worker process, it would come with a traceback for its text."""

    dataset: Augmented | Plain

    def __len__(self) -> int:
        return len(self.dataset.samples)

    def __getitem__(self, place: Any) -> Batch | DataError:
        try:
            return self.dataset[place]
        except DataError as error:
            return error


def training_loader(dataset: Augmented, batches: EpochBatches, world: World) -> Loader:
    """Batches (N, side, side, 3) uint8 and (N,) class indices of the epoch that `batches` stands at."""
    return DataLoader(_Telling(dataset), batch_sampler=batches, collate_fn=_together, **_ahead(world))  # type: ignore[arg-type]


def plain_loader(dataset: Plain, batch_size: int, world: World) -> Loader:
    """Every picture once, in order."""
    return DataLoader(_Telling(dataset), batch_size=batch_size, collate_fn=_together, **_ahead(world))  # type: ignore[arg-type]


def read(loader: Loader) -> Iterator[Batch]:
    """The batches of a loader.

    Raises:
        DataError: a picture cannot be read.
    """
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield batch


def _together(items: list[Batch | DataError]) -> Batch | DataError:
    """A batch, or why one of its pictures cannot be read."""
    errors = (item for item in items if isinstance(item, DataError))
    return next(errors, None) or tuple(default_collate(items))


def _ahead(world: World) -> dict[str, object]:
    """Beside a GPU, worker processes keep batches ready in memory it can copy from by itself.

    On a processor alone the network takes all cores, and a worker would only take them from it.
    """
    if world.device.type == "cpu":
        return {"num_workers": 0}
    cores = cpus() // world.local_size
    return {
        "num_workers": max(1, min(_MAX_WORKERS, cores - 1)),
        "prefetch_factor": _PREFETCH,
        "persistent_workers": True,
        "pin_memory": True,
    }
