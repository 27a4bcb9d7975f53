"""The time a training has: what is said where it is too short, and what counts as spent."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import training.candidates
from tellapart.dataset import Dataset
from tellapart.progress import Progress, silent
from training.candidates import spent_file
from training.options import Circumstances, Mode, TrainingOptions
from training.train import train
from training.trainer import DivergedError

TUNED = TrainingOptions(backbone="efficientnet_lite0", mode=Mode.FINETUNE, epochs=1)
MakeDataset = Callable[..., Dataset]

pytestmark = pytest.mark.usefixtures("one_core")


def test_a_budget_too_short_keeps_the_head_and_says_so(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "data", ("train",) * 4 + ("val",) * 2 + ("test",) * 2)
    seen: list[Progress] = []
    info = train(dataset, replace(TUNED, budget=0.01), tmp_path / "bundle", seen.append)
    sentence = "a budget of 0 s is too short to fine-tune, so a head learned"
    assert (info.training["mode"], info.training["fine_tuning"]["sentence"]) == ("head", sentence)
    assert sentence in [p.note for p in seen]
    overrun = r"training took \d+ s, more than the 0 s of --budget: it bounds fine-tuning, while features, head .*"
    assert [p.stage for p in seen if re.fullmatch(overrun, p.note)] == ["budget"]

    def diverge(*_: object) -> None:
        raise DivergedError("fine-tuning diverged in epoch 1")

    monkeypatch.setattr(training.candidates, "lead", diverge)
    info = train(dataset, TUNED, tmp_path / "bundle", seen.append)
    assert info.training["fine_tuning"] == {"kept": False, "sentence": "fine-tuning diverged in epoch 1"}
    assert len([p for p in seen if p.stage == "budget"]) == 1  # without a budget nothing is over it


def test_what_killed_processes_spent_is_part_of_the_same_training_alone(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = make_dataset(tmp_path / "data", ("train",) * 4 + ("val",) * 2 + ("test",) * 2)

    def stop(progress: Progress) -> None:
        if progress.stage == "fine-tune":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataset, TUNED, tmp_path / "killed", stop)
    noted = json.loads(spent_file(dataset).read_text())
    assert noted["seconds"] > 0
    after = json.dumps(noted | {"seconds": 5000.0})
    for number, (seed, counts) in enumerate(((0, True), (1, False))):
        spent_file(dataset).write_text(after)
        info = train(dataset, replace(TUNED, seed=seed, budget=9000.0), tmp_path / str(number), silent)
        assert (info.training["seconds"] > 5000) == counts
    spent_file(dataset).write_text(after)
    info = train(dataset, replace(TUNED, budget=5000.0), tmp_path / "late", silent)
    both = "a budget of 1 h 23 min, of which killed runs spent 1 h 23 min, is too short to fine-tune, so"
    assert info.training["fine_tuning"]["sentence"].startswith(both)


def test_time_counts_from_when_the_command_began(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", ("train",) * 4)
    head = TrainingOptions(backbone="efficientnet_lite0")
    info = train(dataset, head, tmp_path / "x", silent, Circumstances(began=time.monotonic() - 3000))
    assert info.training["seconds"] > 3000
