"""How fast and how good training is, beside a plain way, on a folder with given splits.

    python -m benchmarks.train FOLDER [--plain] [--backbone NAME]

FOLDER holds train/ and validation/ (or val/), each with one folder a class. Everything is computed
anew, in a temporary folder: ours is from the folder to a saved, calibrated, reported bundle (reading, curating,
features, head, evidence, report). `--plain` adds what one would write in an afternoon: decode one picture
after the other, the network in float32 on batches of 32, scikit-learn's LogisticRegression as it is. Each way has a
process to itself, and its seconds begin when everything is imported. Beside the seconds on the clock stand the
processor's own, which other work on the machine disturbs less.

With `--plain` the aims are judged, and the exit status is 1 where one is missed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.aims import Aim, judge
from benchmarks.machine import machine
from curation import curate
from tellapart.backbones import BACKBONES, EMBEDDED_BACKBONE
from tellapart.dataset import Sample
from tellapart.folders import open_folder
from tellapart.progress import Progress
from tellapart.weights import load_weights
from training.options import TrainingOptions
from training.train import train

BATCH = 32
LEAST_SHOWN = 0.1  # seconds
TIMES_AS_FAST = 3.0
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock, and of the processor in all threads and in processes that have ended."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} (processor {self.processor:.1f})"


class Clock:
    """Measures from when it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), _processor_seconds()

    def spent(self) -> Spent:
        """Since then."""
        return Spent(time.perf_counter() - self._wall, _processor_seconds() - self._processor)


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Measured(NamedTuple):
    """What one way took, and the share of held-out pictures it answered rightly."""

    spent: Spent
    accuracy: float


def main() -> int:
    """Print the machine, the table and, beside the plain way, the aims."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plain", action="store_true", help="measure the plain way too (minutes)")
    parser.add_argument("--backbone", default=EMBEDDED_BACKBONE, choices=list(BACKBONES))
    arguments = parser.parse_args()
    print(machine(), flush=True)
    ours = apart(measure_ours, arguments.folder, arguments.backbone)
    if not arguments.plain:
        return 0
    plain = apart(measure_plain, arguments.folder, arguments.backbone)
    row("plain to ours, processor", f"{plain.spent.processor / ours.spent.processor:.1f}x")
    return judge(
        [
            Aim("plain to ours, seconds", plain.spent.wall / ours.spent.wall, TIMES_AS_FAST, digits=1),
            Aim("accuracy, beside the plain way's", ours.accuracy, plain.accuracy),
        ]
    )


def apart(way: Callable[[Path, str], Measured], folder: Path, backbone: str) -> Measured:
    """Measure in a process of its own, so that nothing one way has set up serves the other."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(way, folder, backbone).result()


def measure_ours(folder: Path, backbone: str) -> Measured:
    """From the folder to the whole bundle."""
    stages: dict[str, Progress] = {}

    def note(progress: Progress) -> None:
        stages[progress.stage] = progress

    with tempfile.TemporaryDirectory() as scratch:
        clock = Clock()
        dataset = open_folder(folder, Path(scratch) / "cache", note)
        curate(dataset, 0, note)
        info = train(dataset, TrainingOptions(backbone=backbone), Path(scratch) / "bundle", note)
        spent = clock.spent()
    for stage in stages.values():
        if stage.seconds >= LEAST_SHOWN:
            row(f"  {stage.stage}, s", f"{stage.seconds:.1f}")
    how = info.preprocessing
    row("chosen", f"{how.fit}, {how.crop} pixels, C {info.training['c']:g}")
    row("ours end to end, s", str(spent))
    row(f"accuracy on {info.metrics['n']} pictures ({info.metrics['protocol']})", f"{info.metrics['accuracy']:.4f}")
    return Measured(spent, info.metrics["accuracy"])


def measure_plain(folder: Path, backbone: str) -> Measured:
    """The plain features and the plain head, on the same pictures in the same run."""
    with tempfile.TemporaryDirectory() as scratch:
        dataset = open_folder(folder, Path(scratch))
        curate(dataset)
        samples = dataset.samples()
    clock = Clock()
    features = plain_features(samples, backbone)
    row("  plain features, s", str(clock.spent()))
    held = np.array([s.split in ("val", "test") for s in samples])
    targets = np.array([s.class_index for s in samples])
    model = LogisticRegression(max_iter=1000).fit(features[~held], targets[~held])
    accuracy = float(model.score(features[held], targets[held]))
    spent = clock.spent()
    row("plain end to end, s", str(spent))
    row("plain accuracy", f"{accuracy:.4f}")
    return Measured(spent, accuracy)


def plain_features(samples: Sequence[Sample], backbone: str) -> Floats:
    """Features in float32, one picture decoded after the other."""
    weights = load_weights(backbone, "auto")
    preprocessing = weights.backbone.preprocessing
    mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std).view(1, 3, 1, 1)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(samples), BATCH):
            batch = [preprocessing.from_bytes(s.path.read_bytes()) for s in samples[start : start + BATCH]]
            pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float()
            parts.append(weights.module((pixels - mean) / std).numpy())
    return np.concatenate(parts)


def row(name: str, value: str) -> None:
    """One line of the table."""
    print(f"{name:<48}{value}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
