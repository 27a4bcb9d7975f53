"""Fine-tuning in several processes: killed and run again, side by side, and with pictures from workers."""

import math
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from tellapart.errors import DataError, UsageError
from tests.ports import free_port
from tests.training.finetuning import RECIPE, tune
from training.distributed import joined
from training.finetune import Job

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 480  # seconds, with torch to be loaded in each process of a busy machine
pytestmark = pytest.mark.usefixtures("one_core")


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
        running.communicate(timeout=_PATIENCE)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=_PATIENCE)
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
    job = replace(job, recipe=replace(RECIPE, epochs=2, batch_size=3, optimizer="sgd", learning_rate=0.02))
    both = processes(job, tmp_path)
    errors = [process.communicate(timeout=_PATIENCE)[1] for process in both]
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
    second.communicate(timeout=_PATIENCE)
    assert second.returncode == -signal.SIGKILL
    error = first.communicate(timeout=_PATIENCE)[1]
    assert first.returncode == 1
    assert "another process of this training ended" in error.splitlines()[-1]
    assert not (tmp_path / "out0").exists()


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    refused = pytest.raises(UsageError, match=r"process 2 on this machine has no GPU of its own\. Start 1 at most")
    with refused, joined("cuda", {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}):
        pass


def test_a_worker_process_names_it_as_well(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a GPU pictures come from such processes."""
    monkeypatch.setattr("training.loading._ahead", lambda _: {"num_workers": 1})
    monkeypatch.setattr("training.decoded.LIMIT", 0)  # so that none is read before
    job.train[0].path.unlink()
    with pytest.raises(DataError) as told:
        tune(job)
    assert str(told.value) == f"{job.train[0].path} cannot be read: No such file or directory. Train again"
