"""How a batch goes through a network that learns: by shares, in parts, compiled."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import training.trainer
from tellapart.head import Head
from tests.training.finetuning import RECIPE, SMALL, load_module_of, tune
from training.finetune import Job
from training.gradients import CorePool, add_gradients
from training.trainable import Network
from training.trainer import pays_to_compile

pytestmark = pytest.mark.usefixtures("one_core")


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
    job = replace(job, recipe=replace(RECIPE, optimizer="sgd", learning_rate=0.01))  # AdamW forgives a wrong scale
    expected, passed, network = tune(job), list[int](), Network.forward  # by shares, which need no gradients of 0
    monkeypatch.setattr(training.trainer, "CorePool", lambda: None)  # what a processor has instead

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
