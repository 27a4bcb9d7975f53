"""The steps of fine-tuning: epochs, validation, where to go on after a kill. Needs torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from tellapart.dataset import Sample
from tellapart.errors import TellapartError
from tellapart.head import Head
from tellapart.network import Module, pick_dtype, serialize
from tellapart.streams import in_parts
from training.augment import Augmentation
from training.calibrate import fit_temperature, negative_log_likelihood
from training.checkpoint import Tensors, below, save_checkpoint, under, unpack
from training.decoded import PictureCache
from training.distributed import World
from training.gradients import CorePool, add_gradients, shares
from training.loading import Augmented, Batch, EpochBatches, Plain, plain_loader, read, training_loader
from training.schedule import rate
from training.state import Epoch, State
from training.trainable import Average, Network, Recipe, make_optimizer, set_rate

Logits = NDArray[np.float32]
_PLAIN_BATCH = {"cpu": 32, "cuda": 128}
_PAYS_TO_COMPILE = 100_000  # pictures through the network; compiling takes a minute or two
_PATIENCE = 1 / 3  # of all epochs without an improvement
_LEAST_PATIENCE = 3


class DivergedError(TellapartError):
    """The network's answers are no numbers any more; the learning rate was too high for it."""


class Trainer:
    """Trains a network on some pictures and judges it on others, alone or with other processes.

    What is judged and kept is the moving average of the weights.

    Args:
        network: taken over.
        train: pictures to learn from, with the cache they come from.
        val: pictures to choose by, in the form the network sees in service.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        train: tuple[Sequence[Sample], PictureCache],
        val: tuple[Sequence[Sample], PictureCache],
        side: int,
        seed: int,
        world: World,
    ) -> None:
        self.state = State()
        self._recipe, self._world = recipe, world
        self._dtype = pick_dtype(world.device)
        self._network = network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = make_optimizer(self._network, recipe)
        self._average = Average(self._network)
        self._best: Tensors = {}
        targets = np.array([s.class_index for s in train[0]], dtype=np.int64)
        self._batches = EpochBatches(targets, recipe.batch_size, seed, world)
        augmented = Augmented(*train, Augmentation(side, recipe.augmentation, seed))
        self._loader = training_loader(augmented, self._batches, world)
        self._val_targets = np.array([s.class_index for s in val[0]], dtype=np.int64)
        mine = Plain(val[0][world.rank :: world.size], val[1])
        self._val_loader = plain_loader(mine, _PLAIN_BATCH[world.device.type], world)
        self._parallel = self._spread(len(train[0]))
        self._pool = CorePool() if world.device.type == "cpu" else None
        self._parts = 1  # in which a batch goes through the network, more where a GPU has too little memory

    @property
    def steps(self) -> int:
        """Steps of all epochs."""
        return self._batches.steps * self._recipe.epochs

    @property
    def ended(self) -> bool:
        """All epochs are done, or the best one is long past."""
        patience = max(_LEAST_PATIENCE, round(_PATIENCE * self._recipe.epochs))
        return self.state.epoch >= self._recipe.epochs or self.state.epoch - self.state.best >= patience

    def run_epoch(self, progress: Callable[[int], float], tick: Callable[[int], None]) -> float | None:
        """Take the steps of the next epoch and return their mean loss, None where not one was taken.

        Args:
            progress: the share in [0, 1] of the training that is behind, after so many steps; at 1 it stops.
            tick: called with the pictures of each step, those of all processes.
        """
        self._batches.epoch = self.state.epoch
        self._network.train()
        total, taken = torch.zeros((), device=self._world.device), 0
        for batch in read(self._loader):
            share = self._world.agree(progress(self.state.step))
            if share >= 1:
                break
            total += self._step(batch, share)
            taken += 1
            tick(len(batch[1]) * self._world.size)
        self.state.epoch += 1
        return float(self._world.total(np.array([float(total)]))[0] / (taken * self._world.size)) if taken else None

    def validate(self) -> Logits:
        """Logits (N, C) of the validation pictures by the moving average."""
        network = self._average.network
        self._world.share(network.buffers())  # each process has seen other pictures
        rows = [self._answer(self._to_device(batch)[0]) for batch in read(self._val_loader)]
        logits = np.zeros((len(self._val_targets), network.bias.shape[0]))
        if rows:
            logits[self._world.rank :: self._world.size] = np.concatenate(rows)
        logits = self._world.total(logits)
        if not np.isfinite(logits).all():
            raise DivergedError(f"fine-tuning diverged in epoch {self.state.epoch}")
        return logits.astype(np.float32)

    def record(self, train_loss: float | None, logits: Logits, seconds: float, share: float) -> Epoch:
        """Write a line of the curves, and remember the weights where it is the best so far."""
        loss = negative_log_likelihood(logits, self._val_targets, fit_temperature(logits, self._val_targets))
        accuracy = float((logits.argmax(axis=1) == self._val_targets).mean())
        row = Epoch(len(self.state.curves), train_loss, loss, accuracy, seconds, rate(share))
        self.state.curves.append(row)
        if len(self.state.curves) <= 2 or loss < self.state.best_loss:  # epoch 0 has learned nothing
            self.state.best = row.epoch
            self._best = {n: t.detach().cpu().clone() for n, t in self._average.network.state_dict().items()}
        return row

    def result(self) -> tuple[bytes, Head]:
        """The best epoch's backbone, serialized, and its head."""
        network = self._average.network
        network.load_state_dict(self._best)
        return serialize(network.backbone.cpu()), network.head()

    def close(self) -> None:
        """End the threads; nothing is asked of the trainer afterwards."""
        if self._pool is not None:
            self._pool.close()

    def save(self, path: Path, identity: str) -> None:
        """Write a checkpoint; only the first process does."""
        if not self._world.leads:
            return
        optimizer = self._optimizer.state_dict()["state"]
        moments = {f"{i}.{n}": t for i, row in optimizer.items() for n, t in row.items() if torch.is_tensor(t)}
        tensors = under("network", self._network.state_dict()) | under("average", self._average.network.state_dict())
        tensors |= under("best", self._best) | under("optimizer", moments)
        save_checkpoint(path, tensors, {"identity": identity, "state": self.state.to_json()})

    def restore(self, checkpoint: bytes) -> None:
        """Go on where `save` wrote a checkpoint."""
        tensors, facts = unpack(checkpoint)
        self.state = State.from_json(facts["state"])
        self._network.load_state_dict(below("network", tensors))
        self._average.network.load_state_dict(below("average", tensors))
        self._best = below("best", tensors)
        moments: dict[int, Tensors] = {}
        for name, tensor in below("optimizer", tensors).items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _step(self, batch: Batch, share: float) -> torch.Tensor:
        set_rate(self._optimizer, rate(share + 0.5 / self.steps))  # in the middle of the step
        loss = self._set_gradients(*self._to_device(batch))
        self._optimizer.step()
        self.state.step += 1
        self._average.update(self._network, self.state.step)
        return loss

    def _set_gradients(self, pixels: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self._pool and self._world.size == 1 and self._network.fixed_norm:
            smoothing = self._recipe.label_smoothing
            return add_gradients(self._network, pixels, targets, smoothing, self._dtype, self._pool)
        most = len(pixels) if self._world.size == 1 else 1  # the others would wait for a pass that fails here
        loss, self._parts = in_parts(lambda parts: self._pass(pixels, targets, parts), self._parts, most)
        return loss

    def _pass(self, pixels: torch.Tensor, targets: torch.Tensor, parts: int) -> torch.Tensor:
        """Set the gradients of the mean loss of a batch, which goes through the network in parts; returns the loss."""
        self._optimizer.zero_grad(set_to_none=True)
        losses = []
        for some, wanted in zip(pixels.chunk(parts), targets.chunk(parts), strict=True):
            with self._autocast():
                logits = self._parallel(some)
            loss = cross_entropy(logits, wanted, label_smoothing=self._recipe.label_smoothing, reduction="sum")
            (loss / len(targets)).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach() / len(targets))
        return torch.stack(losses).sum()

    def _answer(self, pixels: torch.Tensor) -> Logits:
        def answer(some: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode(), self._autocast():
                logits: torch.Tensor = self._average.network(some)
                return logits

        if self._pool is None:
            logits, _ = in_parts(lambda n: torch.cat([answer(some) for some in pixels.chunk(n)]), 1, len(pixels))
            return logits.cpu().numpy()
        return torch.cat(self._pool.map(answer, (pixels[some] for some in shares(len(pixels))))).numpy()

    def _to_device(self, batch: Batch) -> Batch:
        pixels, targets = (part.to(self._world.device, non_blocking=True) for part in batch)
        return pixels, targets

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._world.device.type, self._dtype, enabled=self._dtype != torch.float32)

    def _spread(self, n_train: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """The network as it is trained: compiled where that pays, gradients averaged over all processes."""
        torch.backends.cudnn.benchmark = True  # every batch is as large as the first
        if pays_to_compile(self._world.device, n_train * self._recipe.epochs):
            self._network.compile()
        if self._world.size == 1:
            return self._network  # type: ignore[no-any-return]
        devices = [self._world.device.index] if self._world.device.type == "cuda" else None
        spread: Module = DistributedDataParallel(self._network, device_ids=devices)
        return spread


def pays_to_compile(device: torch.device, pictures: int) -> bool:
    """Whether so many pictures through the network are worth the time that torch.compile takes."""
    return device.type == "cuda" and pictures >= _PAYS_TO_COMPILE
