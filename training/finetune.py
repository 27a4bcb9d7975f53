"""Fine-tuning: the whole network learns on, from ImageNet's features and a fitted head. Needs torch.

A `Job` is all that the processes of one fine-tuning must know; the first of them makes it and sends it to
the others. The same job gives the same network: on a processor exactly, after a kill too, unless
its time runs out.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tellapart.backbones import BACKBONES
from tellapart.dataset import Sample
from tellapart.head import Head
from tellapart.network import Module, load_module, serialize
from tellapart.preprocess import Preprocessing
from tellapart.progress import Progress, Report, Stage, silent
from tellapart.wording import counted, percent
from training.checkpoint import Tensors, below, pack, read_checkpoint, under, unpack
from training.decoded import PictureCache
from training.distributed import World
from training.schedule import Budget, Pace
from training.state import Epoch, State
from training.trainable import Network, Recipe
from training.trainer import DivergedError, Trainer

GoOn = Callable[[Epoch], bool]


@dataclass(frozen=True)
class Job:
    """One fine-tuning.

    Attributes:
        backbone: its name.
        state: the weights it begins with.
        head: the head it begins with.
        train, val: pictures to learn from and to choose by.
        preprocessing: what the network sees in service.
        recipe: the settings.
        seed: of order and augmentation.
        fixed_norm: see `Network`.
        cache: folder of derived data.
        checkpoint: file to write after every epoch; None for none.
        resume: go on at the checkpoint where it is of this job.
        seconds: that the training may take in all; None for as long as it takes.
        spent: seconds of them that were spent before, on features and search, and by processes that were killed.
        reserve: seconds of them to keep for what comes afterwards.
        reserve_pictures: the same, as pictures that go through the network then.
    """

    backbone: str
    state: Tensors
    head: Head
    train: Sequence[Sample]
    val: Sequence[Sample]
    preprocessing: Preprocessing
    recipe: Recipe
    seed: int
    fixed_norm: bool
    cache: Path
    checkpoint: Path | None = None
    resume: bool = True
    seconds: float | None = None
    spent: float = 0.0
    reserve: float = 0.0
    reserve_pictures: int = 0

    @property
    def identity(self) -> str:
        """What two jobs share that may go on at one another's checkpoint."""
        same = replace(
            self, resume=True, seconds=None, spent=0.0, reserve=0.0, reserve_pictures=0, cache=Path(), checkpoint=None
        )
        return hashlib.sha256(same.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The form sent to other processes."""
        head = {"weight": torch.from_numpy(self.head.weight), "bias": torch.from_numpy(self.head.bias)}
        return pack(under("state", self.state) | under("head", head), self._facts())

    @staticmethod
    def from_bytes(data: bytes) -> "Job":
        """Read the form sent to other processes."""
        tensors, facts = unpack(data)
        head = below("head", tensors)
        for name in ("train", "val"):
            facts[name] = [Sample(Path(path), index, sha256, "", "") for path, index, sha256 in facts[name]]
        facts["preprocessing"] = Preprocessing.from_json(facts["preprocessing"])
        facts["recipe"] = Recipe(**facts["recipe"])
        facts["cache"] = Path(facts["cache"])
        facts["checkpoint"] = Path(facts["checkpoint"]) if facts["checkpoint"] else None
        return Job(state=below("state", tensors), head=Head(head["weight"].numpy(), head["bias"].numpy()), **facts)

    def _facts(self) -> dict[str, Any]:
        plain = ("backbone", "seed", "fixed_norm", "resume", "seconds", "spent", "reserve", "reserve_pictures")
        return {name: getattr(self, name) for name in plain} | {
            "train": [(str(s.path), s.class_index, s.sha256) for s in self.train],
            "val": [(str(s.path), s.class_index, s.sha256) for s in self.val],
            "preprocessing": self.preprocessing.to_json(),
            "recipe": asdict(self.recipe),
            "cache": str(self.cache),
            "checkpoint": str(self.checkpoint) if self.checkpoint else None,
        }


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned network.

    Attributes:
        backbone: its weights, serialized.
        head: not calibrated.
        curves: a line an epoch; line 0 is where it began.
        best: the epoch whose weights these are; 0 where it made nothing better than what it began with.
        out_of_time: its time ran out before its epochs.
        resumed: the epoch it went on at; 0 where it began anew.
    """

    backbone: bytes
    head: Head
    curves: list[Epoch]
    best: int
    out_of_time: bool
    resumed: int


def fine_tune(
    job: Job,
    world: World,
    report: Report = silent,
    go_on: GoOn = lambda _: True,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned | None:
    """Do a job together with the other processes of the world, each of which calls this.

    Args:
        go_on: asked after every epoch, in the first process; False ends it there.

    Returns:
        the network of the best epoch, or as it began where none was better; None where the time was too short for
        a single step.

    Raises:
        DivergedError: the learning rate was too high.
        DataError: a picture cannot be read any more.
        TellapartError: the disk is full.
    """
    checkpoint = world.send(_checkpoint(job) if world.leads else b"")
    budget = Budget(job.seconds, job.spent, clock)
    with closing(_trainer(job, world, report)) as trainer:
        return _fine_tune(job, trainer, budget, checkpoint, world, report, go_on)


def _fine_tune(
    job: Job, trainer: Trainer, budget: Budget, checkpoint: bytes, world: World, report: Report, go_on: GoOn
) -> Tuned | None:
    if checkpoint:
        trainer.restore(checkpoint)
    resumed = trainer.state.epoch
    checks_after = job.reserve_pictures / max(1, len(job.val))
    pace = Pace(trainer.steps, budget, job.reserve, checks_after, check=trainer.state.check)
    if resumed:
        report(Progress("fine-tuning", note=f"goes on after epoch {resumed}", finished=True))
    with Stage(report, "fine-tune", total=len(job.train) * job.recipe.epochs) as stage:
        stage.done = len(job.train) * resumed
        if not resumed:
            _judge(trainer, pace, None)
        pace.began = trainer.state.curves[0].seconds
        _run(job, trainer, pace, world, stage, go_on)
        curves = trainer.state.curves
        if len(curves) > 1 and not trainer.ended:
            stage.note(f"the time is spent: {len(curves) - 1} of {counted(job.recipe.epochs, 'epoch')}")
    if len(curves) < 2:
        return None
    best = _best(job, trainer.state)
    backbone, head = trainer.result() if best else (serialize(_begun(job)), job.head)
    return Tuned(backbone, head, curves, best, out_of_time=not trainer.ended, resumed=resumed)


def _best(job: Job, state: State) -> int:
    """The epoch to keep; where it began counts too, unless that was chance."""
    return 0 if job.fixed_norm and state.curves[0].val_loss <= state.best_loss else state.best


def _begun(job: Job) -> Module:
    return load_module(BACKBONES[job.backbone], job.state)


def follow(world: World) -> None:
    """Take part in every job that the first process sends, until it sends an empty one."""
    while data := world.send():
        with suppress(DivergedError):  # the first process finds it too, and goes on
            fine_tune(Job.from_bytes(data), world)


def lead(
    job: Job, world: World, report: Report, go_on: GoOn = lambda _: True, clock: Callable[[], float] = time.monotonic
) -> Tuned | None:
    """Send a job to the other processes and do it with them; see `fine_tune`."""
    if world.size > 1:
        world.send(job.to_bytes())
    return fine_tune(job, world, report, go_on, clock)


def _run(job: Job, trainer: Trainer, pace: Pace, world: World, stage: Stage, go_on: GoOn) -> None:
    while not trainer.ended and world.agree(pace.progress(trainer.state.step)) < 1:
        loss = trainer.run_epoch(pace.progress, stage.advance)
        if loss is None:
            return
        row = _judge(trainer, pace, loss)
        stage.note(f"epoch {row.epoch}: loss {loss:.3f}, {percent(row.val_accuracy)} of the validation pictures right")
        stage.measure(train_loss=loss, val_loss=row.val_loss, val_accuracy=row.val_accuracy)
        if job.checkpoint:
            trainer.save(job.checkpoint, job.identity)
        if not world.agree(float(go_on(row))):
            return


def _judge(trainer: Trainer, pace: Pace, loss: float | None) -> Epoch:
    with pace.checking():
        logits = trainer.validate()
    trainer.state.check = pace.check
    return trainer.record(loss, logits, pace.budget.used, pace.progress(trainer.state.step))


def _checkpoint(job: Job) -> bytes:
    return read_checkpoint(job.checkpoint, job.identity) if job.checkpoint and job.resume else b""


def _trainer(job: Job, world: World, report: Report) -> Trainer:
    network = Network(_begun(job), job.head, job.preprocessing, job.fixed_norm)
    pictures = PictureCache.for_training(job.cache)
    seen = PictureCache.for_network(job.cache, job.preprocessing)
    pictures.fill(job.train[world.rank :: world.size], report, "decode")
    seen.fill(job.val[world.rank :: world.size], report, "decode validation")
    side = job.preprocessing.crop
    return Trainer(network, job.recipe, (job.train, pictures), (job.val, seen), side, job.seed, world)
