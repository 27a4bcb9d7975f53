"""Fine-tuning: that it learns, repeats, goes on after a kill, and keeps to its time."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

import training.trainer
from tellapart.errors import DataError
from tellapart.head import Head
from tellapart.network import serialize
from tellapart.progress import Progress, silent
from tellapart.weights import load_weights
from tests.training.finetuning import RECIPE, SMALL, load_module_of, tune
from training.checkpoint import read_checkpoint
from training.distributed import World
from training.finetune import Job, fine_tune
from training.state import Epoch
from training.trainable import Network, Recipe, make_optimizer, set_rate, stages
from training.trainer import DivergedError

pytestmark = pytest.mark.usefixtures("one_core")


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
    told = [p.note for p in seen if p.values]
    assert len(told) == 6
    assert told[0].startswith(f"epoch 1: loss {tuned.curves[1].train_loss:.3f}, ")


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


def test_time_spent_before_counts(job: Job) -> None:
    clock = Clock()
    long = replace(job, recipe=replace(RECIPE, epochs=1000), seconds=60.0, spent=35.0)
    assert tune(long, clock=clock).curves[0].seconds > 35
    assert clock.now <= 29


def test_after_a_kill_what_a_check_takes_is_known_before_the_next_one(job: Job, tmp_path: Path) -> None:
    """A check of 6 pictures takes 1 s and 54 come after it, so eleven times that are kept free of 40 s."""
    long = replace(job, recipe=replace(RECIPE, epochs=1000), reserve_pictures=54, checkpoint=tmp_path / "checkpoint")
    tune(long, clock=Clock(), go_on=lambda row: row.epoch < 2)
    clock = Clock()
    tuned = tune(replace(long, seconds=40.0, spent=28.0), clock=clock)
    assert (tuned.resumed, len(tuned.curves)) == (2, 3)
    assert clock.now < 9


def test_it_ends_when_validation_has_not_improved_for_long(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, 0.5, 0.4] + [0.6] * 20)
    monkeypatch.setattr(training.trainer, "negative_log_likelihood", lambda *_: next(losses))
    tuned = tune(replace(job, recipe=replace(RECIPE, epochs=9)))
    assert (tuned.best, len(tuned.curves) - 1, tuned.out_of_time) == (2, 5, False)


@pytest.mark.parametrize(("losses", "best"), [((0.468, 0.535, 0.5), 0), ((0.5, 0.5, 0.5), 0), ((0.5, 0.6, 0.4), 2)])
def test_what_it_began_with_is_kept_where_no_epoch_was_better(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, losses: tuple[float, ...], best: int
) -> None:
    """Whole, and killed after the first epoch."""
    began = serialize(load_module_of(job))
    job = replace(job, recipe=replace(RECIPE, epochs=2), checkpoint=tmp_path / "checkpoint")
    given = iter([*losses, *losses])
    monkeypatch.setattr(training.trainer, "negative_log_likelihood", lambda *_: next(given))
    whole = tune(replace(job, checkpoint=None))
    tune(job, go_on=lambda _: False)
    resumed = tune(job)
    assert (whole.best, resumed.best, resumed.resumed) == (best, best, 1)
    assert whole.backbone == resumed.backbone
    assert (whole.backbone == began) == (best == 0)
    assert np.array_equal(whole.head.weight, job.head.weight) == (best == 0)


def test_what_began_by_chance_is_never_kept(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter([0.4, 0.6, 0.5])
    monkeypatch.setattr(training.trainer, "negative_log_likelihood", lambda *_: next(given))
    assert tune(replace(job, recipe=replace(RECIPE, epochs=2), fixed_norm=False)).best == 2


def test_where_it_goes_on_and_that_its_time_is_spent_are_said(job: Job, tmp_path: Path) -> None:
    seen: list[Progress] = []
    job = replace(job, checkpoint=tmp_path / "checkpoint")
    tune(job, go_on=lambda row: row.epoch < 2)
    fine_tune(replace(job, seconds=1.0), World(), seen.append, clock=Clock())
    said = [(p.stage, p.note) for p in seen if p.finished and p.note]
    assert said == [("fine-tuning", "goes on after epoch 2"), ("fine-tune", "the time is spent: 2 of 3 epochs")]


def test_divergence_is_said(job: Job) -> None:
    with pytest.raises(DivergedError, match="fine-tuning diverged in epoch"):
        tune(replace(job, recipe=replace(RECIPE, optimizer="sgd", learning_rate=1e30)))


def test_a_picture_that_is_gone_is_named(job: Job) -> None:
    job.train[0].path.unlink()
    with pytest.raises(DataError, match=r"0-0\.png cannot be read: No such file"):
        tune(job)


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
