"""The search for settings: resumable, never worse than the usual ones, by validation alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import training.tune
from tellapart.dataset import Sample
from tellapart.head import Head
from tellapart.preprocess import Preprocessing
from tellapart.progress import Progress, silent
from training.distributed import World
from training.finetune import Job, Tuned
from training.schedule import Budget
from training.state import Epoch
from training.trainable import Recipe
from training.trainer import DivergedError
from training.tune import search

RECIPE = Recipe(epochs=9, batch_size=2, learning_rate=1e-3)
FREE = Budget(None)
Ask = Callable[[Job], float]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    head = Head(np.zeros((2, 4), np.float32), np.zeros(2, np.float32))
    samples = [Sample(Path("a"), 0, "a", "", ""), Sample(Path("b"), 1, "b", "", "")]
    how = Preprocessing(8, 8, "bilinear", (0.0,) * 3, (1.0,) * 3)
    return Job("resnet18", {}, head, samples, samples, how, RECIPE, 0, True, tmp_path, checkpoint=tmp_path / "c")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs of the trials, whose loss is the distance of the rate to 4e-3, in decades."""
    jobs: list[Job] = []

    def lead(job: Job, world: World, report: Any, go_on: Any) -> Tuned:
        jobs.append(job)
        loss = abs(float(np.log10(job.recipe.learning_rate / 4e-3)))
        curves = [Epoch(i, None, loss, 0.5, 0.0, 0.0) for i in range(job.recipe.epochs + 1)]
        for row in curves[1:]:
            if not go_on(row):
                curves = curves[: row.epoch + 1]
                break
        return Tuned(b"", job.head, curves, 1, False, 0)

    monkeypatch.setattr(training.tune, "lead", lead)
    return jobs


def test_it_finds_what_is_better_than_the_usual(job: Job, asked: list[Job], tmp_path: Path) -> None:
    seen: list[Progress] = []
    found = search(job, 12, tmp_path / "s.sqlite", World(), FREE, seen.append)
    assert asked[0].recipe.learning_rate == RECIPE.learning_rate
    assert {j.recipe.epochs for j in asked} == {3}
    assert {j.checkpoint for j in asked} == {None}
    assert abs(np.log10(found.recipe.learning_rate / 4e-3)) < abs(np.log10(1e-3 / 4e-3))
    assert found.recipe.epochs == 9
    assert found.facts["trials"] == len(asked) == 12
    assert found.facts["settings"]["learning_rate"] == found.recipe.learning_rate
    assert (seen[-1].stage, seen[-1].done, seen[-1].finished) == ("search", 12, True)


def test_a_killed_search_goes_on_where_it_stopped(
    job: Job, asked: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = tmp_path / "s.sqlite"
    search(job, 2, storage, World(), FREE, silent)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.tune, "lead", killed)
        with pytest.raises(KeyboardInterrupt):
            search(job, 4, storage, World(), FREE, silent)
    assert search(job, 4, storage, World(), FREE, silent).facts["trials"] == 4
    assert len(asked) == 4
    assert search(job, 4, storage, World(), FREE, silent).facts["trials"] == 4
    assert len(asked) == 4


def test_trials_that_diverge_count_and_are_never_chosen(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError("no numbers")

    monkeypatch.setattr(training.tune, "lead", diverge)
    found = search(job, 2, tmp_path / "s.sqlite", World(), FREE, silent)
    assert found.recipe == RECIPE
    assert found.facts == {"trials": 2}


def test_it_ends_when_its_time_is_up(job: Job, asked: list[Job], tmp_path: Path) -> None:
    ticks = iter(range(1000))
    time = Budget(25.0, clock=lambda: float(5 * next(ticks)))
    found = search(job, 100, tmp_path / "s.sqlite", World(), time, silent)
    assert 1 <= found.facts["trials"] < 6
    assert all(j.seconds is not None and j.seconds <= 1 for j in asked)
