"""Fine-tuning: that it learns, repeats, goes on after a kill, keeps to its time, and works over several processes."""

import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

import training.trainer
from tellapart.dataset import Sample
from tellapart.errors import DataError, UsageError
from tellapart.head import Head
from tellapart.images import sha256
from tellapart.network import load_module, serialize
from tellapart.preprocess import Preprocessing
from tellapart.progress import Progress, silent
from tellapart.weights import load_weights
from tests.ports import free_port
from training.checkpoint import read_checkpoint
from training.distributed import World, joined
from training.finetune import Job, Tuned, fine_tune
from training.gradients import CorePool, add_gradients
from training.trainable import Network, Recipe, make_optimizer, set_rate, stages
from training.trainer import DivergedError, Epoch, pays_to_compile

ROOT = Path(__file__).resolve().parents[2]
SMALL = Preprocessing(32, 32, "bilinear", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
RECIPE = Recipe(epochs=3, batch_size=6, learning_rate=1e-3, augmentation=0.2)


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    """Cores that wait for one another inside small operations are most of a small network's time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def start() -> dict[str, torch.Tensor]:
    return load(serialize(load_weights("efficientnet_lite0", "auto").module))


@pytest.fixture
def job(tmp_path: Path, start: dict[str, torch.Tensor], make_shape: Callable[[int, int], bytes]) -> Job:
    """Four pictures of each of three classes to learn from, two to choose by, at 32 pixels; the head knows nothing."""

    def sample(kind: int, seed: int) -> Sample:
        data = make_shape(kind, seed)
        path = tmp_path / f"{kind}-{seed}.png"
        path.write_bytes(data)
        return Sample(path, kind, sha256(data), "", "")

    train = [sample(kind, seed) for seed in range(4) for kind in range(3)]
    val = [sample(kind, seed) for seed in range(4, 6) for kind in range(3)]
    head = Head(np.zeros((3, 2240), np.float32), np.zeros(3, np.float32))
    return Job("efficientnet_lite0", start, head, train, val, SMALL, RECIPE, 0, True, tmp_path / "cache")


def tune(job: Job, **named: Any) -> Tuned:
    tuned = fine_tune(job, World(), silent, **named)
    assert tuned is not None
    return tuned


def test_it_learns_what_the_head_did_not_know(job: Job) -> None:
    seen: list[Progress] = []
    tuned = fine_tune(replace(job, recipe=replace(RECIPE, epochs=6, learning_rate=2e-3)), World(), seen.append)
    assert tuned is not None
    assert [row.epoch for row in tuned.curves] == list(range(7))
    assert tuned.curves[0].val_accuracy == pytest.approx(1 / 3)
    assert tuned.curves[0].val_loss == pytest.approx(math.log(3), rel=1e-3)
    assert tuned.curves[tuned.best].val_accuracy > 0.8
    assert tuned.curves[tuned.best].val_loss == min(row.val_loss for row in tuned.curves[1:])
    assert tuned.backbone != serialize(load_module_of(job))
    assert not tuned.out_of_time
    assert [p.stage for p in seen if p.finished] == ["decode", "decode validation", "fine-tune"]
    assert (seen[-1].done, seen[-1].total) == (72, 72)


def load_module_of(job: Job) -> torch.nn.Module:
    from tellapart.backbones import BACKBONES

    return load_module(BACKBONES[job.backbone], job.state)


def test_the_same_seed_repeats_exactly_and_another_does_not(job: Job) -> None:
    short = replace(job, recipe=replace(RECIPE, epochs=1))
    one, two, other = tune(short), tune(short), tune(replace(short, seed=1))
    assert one.backbone == two.backbone
    np.testing.assert_array_equal(one.head.weight, two.head.weight)
    assert one.backbone != other.backbone


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_what_a_kill_cut_short_ends_as_if_nothing_had_been(job: Job, optimizer: str, tmp_path: Path) -> None:
    job = replace(job, recipe=replace(RECIPE, optimizer=optimizer), checkpoint=tmp_path / "checkpoint")
    whole = tune(replace(job, checkpoint=None))

    def stop(row: Epoch) -> bool:
        if row.epoch == 2:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        tune(job, go_on=stop)
    resumed = tune(job)
    assert resumed.resumed == 2
    assert resumed.backbone == whole.backbone
    np.testing.assert_array_equal(resumed.head.bias, whole.head.bias)
    assert [r.val_loss for r in resumed.curves] == [r.val_loss for r in whole.curves]
    assert tune(replace(job, resume=False)).resumed == 0


def test_a_checkpoint_of_something_else_or_a_broken_one_is_not_gone_on_at(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    short = replace(job, recipe=replace(RECIPE, epochs=1), checkpoint=path)
    tune(short)
    assert read_checkpoint(path, short.identity)
    assert not read_checkpoint(path, replace(short, seed=1).identity)
    assert replace(short, seconds=9.0, reserve=2.0).identity == short.identity
    whole = path.read_bytes()
    for broken in (b"", b"\xff" * 100, whole[: len(whole) // 2], whole[:5]):
        path.write_bytes(broken)
        assert read_checkpoint(path, short.identity) == b""


class Clock:
    """Each look takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_the_time_is_kept_and_the_rate_is_down_by_then(job: Job) -> None:
    clock = Clock()
    long = replace(job, recipe=replace(RECIPE, epochs=1000), seconds=60.0, reserve=10.0, reserve_pictures=6)
    tuned = tune(long, clock=clock)
    assert tuned.out_of_time
    assert 4 <= len(tuned.curves) < 30
    assert 30 < clock.now <= 52  # ten seconds, and what a check of six pictures takes, are left
    rates = [row.rate for row in tuned.curves[1:]]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.05


def test_no_time_for_a_step_is_no_network(job: Job) -> None:
    assert fine_tune(replace(job, seconds=1.0), World(), silent, clock=Clock()) is None


def test_time_spent_before_a_kill_counts(job: Job, tmp_path: Path) -> None:
    clock = Clock()
    long = replace(job, recipe=replace(RECIPE, epochs=1000), seconds=40.0, checkpoint=tmp_path / "checkpoint")
    assert tune(long, clock=clock, go_on=lambda row: row.epoch < 2).curves[-1].epoch == 2
    used = clock.now
    again = Clock()
    assert tune(long, clock=again).resumed == 2
    assert used + again.now <= 44


def test_what_a_killed_process_spent_on_features_counts_too(job: Job, tmp_path: Path) -> None:
    """20 s of features and some of fine-tuning, killed; features that are cached now take 1 s."""
    clock, checkpoint = Clock(), tmp_path / "checkpoint"
    first = replace(job, recipe=replace(RECIPE, epochs=1000), seconds=40.0, before=20.0, checkpoint=checkpoint)
    tune(first, clock=clock, go_on=lambda row: row.epoch < 2)
    again = Clock()
    assert tune(replace(first, seconds=59.0, before=1.0), clock=again).resumed == 2
    assert 20 + clock.now + 1 + again.now <= 64


def test_it_ends_when_validation_has_not_improved_for_long(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, 0.5, 0.4] + [0.6] * 20)
    monkeypatch.setattr(training.trainer, "negative_log_likelihood", lambda *_: next(losses))
    tuned = tune(replace(job, recipe=replace(RECIPE, epochs=9)))
    assert (tuned.best, len(tuned.curves) - 1, tuned.out_of_time) == (2, 5, False)


def test_divergence_is_said(job: Job) -> None:
    with pytest.raises(DivergedError, match="fine-tuning diverged in epoch"):
        tune(replace(job, recipe=replace(RECIPE, optimizer="sgd", learning_rate=1e30)))


def test_a_picture_that_is_gone_is_named(job: Job) -> None:
    job.train[0].path.unlink()
    with pytest.raises(DataError, match=r"0-0\.png cannot be read: No such file"):
        tune(job)


def test_a_worker_process_names_it_as_well(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a GPU pictures come from such processes."""
    monkeypatch.setattr("training.loading._ahead", lambda _: {"num_workers": 1})
    monkeypatch.setattr("training.decoded.LIMIT", 0)  # so that none is read before
    job.train[0].path.unlink()
    with pytest.raises(DataError) as told:
        tune(job)
    assert str(told.value) == f"{job.train[0].path} cannot be read: No such file or directory. Train again"


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    refused = pytest.raises(UsageError, match=r"process 2 on this machine has no GPU of its own\. Start 1 at most")
    with refused, joined("cuda", {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}):
        pass


def test_a_network_from_nothing_learns_its_normalisation_too(job: Job) -> None:
    module = load_weights("resnet18", "none").module
    head = Head(np.zeros((3, 512), np.float32), np.zeros(3, np.float32))
    tuned = tune(replace(job, backbone="resnet18", state=load(serialize(module)), head=head, fixed_norm=False))
    assert not torch.equal(load(tuned.backbone)["bn1.running_mean"], torch.zeros(64))
    assert len(tuned.curves) == 4


def test_a_job_is_the_same_after_it_was_sent(job: Job) -> None:
    job = replace(job, seconds=3.0, checkpoint=Path("/x"))
    again = Job.from_bytes(job.to_bytes())
    assert again.identity == job.identity
    assert (again.seconds, again.checkpoint, again.recipe, again.preprocessing) == (3.0, Path("/x"), RECIPE, SMALL)
    assert [s.path for s in again.train] == [s.path for s in job.train]


def test_resnet50_learns_from_random_weights(job: Job) -> None:
    """A step an epoch, normalisation with statistics of its own."""
    state = load(serialize(load_weights("resnet50", "none", 0).module))
    head = Head(np.zeros((3, 2048), np.float32), np.zeros(3, np.float32))
    recipe = replace(RECIPE, epochs=1, batch_size=12, stage_decay=1.0)
    scratch = replace(job, backbone="resnet50", state=state, head=head, recipe=recipe, fixed_norm=False)
    tuned = tune(scratch)
    learned = load(tuned.backbone)
    assert all(torch.isfinite(t).all() for t in learned.values())
    assert not torch.equal(learned["conv1.weight"], state["conv1.weight"])
    assert not torch.equal(learned["bn1.running_mean"], state["bn1.running_mean"])
    assert np.abs(tuned.head.weight).max() > 0


@pytest.mark.parametrize(("name", "count"), [("efficientnet_lite0", 9), ("resnet18", 5), ("resnet50", 5)])
def test_stages_hold_every_parameter_once_and_learn_less_the_further_from_the_head(name: str, count: int) -> None:
    weights = load_weights(name, "none")
    dim = weights.backbone.feature_dim
    head = Head(np.zeros((2, dim), np.float32), np.zeros(2, np.float32))
    network = Network(weights.module, head, SMALL, True)
    parts = stages(weights.module)
    assert len(parts) == count
    assert sorted(id(p) for part in parts for p in part) == sorted(id(p) for p in weights.module.parameters())
    optimizer = make_optimizer(network, Recipe(1, 2, learning_rate=1.0, stage_decay=0.5))
    set_rate(optimizer, 0.5)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert rates[id(network.weight)] == rates[id(parts[-1][0])] == 0.5
    assert rates[id(parts[0][0])] == 0.5**count
    assert len(rates) == len(list(network.parameters()))
    undecayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] == 0 for p in g["params"]}
    assert undecayed == {id(p) for p in network.parameters() if p.ndim < 2}


def test_gradients_by_shares_are_those_of_the_whole_batch(job: Job) -> None:
    rng = np.random.default_rng(0)
    head = Head(rng.normal(size=(3, 2240)).astype(np.float32) / 36, np.zeros(3, np.float32))
    network = Network(load_module_of(job), head, SMALL, True).train()
    pixels = torch.from_numpy(rng.integers(0, 256, (11, 32, 32, 3), dtype=np.uint8))
    targets = torch.from_numpy(rng.integers(0, 3, 11))
    loss = torch.nn.functional.cross_entropy(network(pixels), targets, label_smoothing=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    expected = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    pool = CorePool()
    found = add_gradients(network, pixels, targets, 0.1, torch.float32, pool)
    pool.close()
    assert float(found) == pytest.approx(float(loss.detach()), rel=1e-5)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)


def test_where_a_gpu_has_too_little_memory_the_same_batch_goes_through_in_parts(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.trainer, "CorePool", lambda: None)  # what a processor has instead
    job = replace(job, recipe=replace(RECIPE, optimizer="sgd", learning_rate=0.01))  # AdamW forgives a wrong scale
    expected, passed, network = tune(job), list[int](), Network.forward

    def forward(self: Network, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("too many")
        passed.append(len(pixels))
        return network(self, pixels)

    monkeypatch.setattr(Network, "forward", forward)
    found = tune(job)
    assert max(passed) == 2
    weight = expected.head.weight
    assert np.abs(found.head.weight - weight).max() < 0.03 * np.abs(weight).max()


def test_compiling_is_for_long_trainings_on_a_gpu() -> None:
    assert pays_to_compile(torch.device("cuda"), 1_000_000)
    assert not pays_to_compile(torch.device("cuda"), 10_000)
    assert not pays_to_compile(torch.device("cpu"), 1_000_000)


ALONE = """
import sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from training.distributed import World
from training.finetune import Job, fine_tune

def tell(progress):
    print(progress.stage, progress.done, flush=True)

tuned = fine_tune(Job.from_bytes(Path(sys.argv[1]).read_bytes()), World(), tell)
Path(sys.argv[2]).write_bytes(tuned.backbone)
"""


def test_killed_at_any_moment_and_run_again_it_is_the_same_network(job: Job, tmp_path: Path) -> None:
    job = replace(job, checkpoint=tmp_path / "checkpoint")
    whole = tune(replace(job, checkpoint=None, cache=tmp_path / "another"))
    (tmp_path / "job").write_bytes(job.to_bytes())
    command = [sys.executable, "-c", ALONE, str(tmp_path / "job"), str(tmp_path / "out")]
    chance = random.Random(4)
    for _ in range(2):
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None
        for _ in range(chance.randint(3, 12)):
            running.stdout.readline()
        running.kill()
        running.communicate(timeout=60)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=240)
    assert (tmp_path / "out").read_bytes() == whole.backbone
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".part-")] == []


FOLLOW = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import training.trainer
from pathlib import Path
from tellapart.errors import TellapartError
from training.distributed import joined
from training.finetune import Job, fine_tune, follow, lead
from training.launch import followed, processes

if "DIES_AT" in os.environ:
    step = training.trainer.Trainer._step
    def dying(self, *rest):
        if self.state.step == int(os.environ["DIES_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, *rest)
    training.trainer.Trainer._step = dying
try:
    with processes("cpu") as world:
        if not followed(world):
            tuned = lead(Job.from_bytes(Path(sys.argv[1]).read_bytes()), world, lambda _: None)
            Path(sys.argv[2]).write_bytes(tuned.backbone)
except TellapartError as error:
    sys.exit(f"error: {error}")
"""


def processes(job: Job, tmp_path: Path, **of_second: str) -> list[subprocess.Popen[str]]:
    """Two processes as torchrun starts them, the second with more in its environment."""
    (tmp_path / "job").write_bytes(job.to_bytes())
    base = {**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    base |= {"MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", FOLLOW, str(tmp_path / "job"), str(tmp_path / f"out{rank}")],
            env={**base, "RANK": str(rank), "LOCAL_RANK": str(rank)} | (of_second if rank else {}),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def test_two_processes_do_what_one_does_with_the_doubled_batch(job: Job, tmp_path: Path) -> None:
    job = replace(job, recipe=replace(RECIPE, epochs=2, batch_size=3, optimizer="sgd", learning_rate=0.05))
    both = processes(job, tmp_path)
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert not (tmp_path / "out1").exists()
    alone = load(tune(replace(job, recipe=replace(job.recipe, batch_size=6))).backbone)
    together = load((tmp_path / "out0").read_bytes())
    moved = distance(alone, job.state)
    assert moved > 0
    assert distance(alone, together) < 0.02 * moved


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Euclidean, over the tensors that learn."""
    names = [n for n in one if n.endswith(("weight", "bias"))]
    return math.sqrt(sum(float((one[n] - other[n]).square().sum()) for n in names))


def test_when_one_process_dies_the_other_ends_with_an_error(job: Job, tmp_path: Path) -> None:
    first, second = processes(job, tmp_path, DIES_AT="2")
    second.communicate(timeout=120)
    assert second.returncode == -signal.SIGKILL
    error = first.communicate(timeout=60)[1]
    assert first.returncode == 1
    assert "another process of this training ended" in error.splitlines()[-1]
    assert not (tmp_path / "out0").exists()
