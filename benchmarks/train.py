"""How fast and how good training is, beside a plain way, on a folder with given splits.

    python -m benchmarks.train FOLDER [--plain] [--backbone NAME]

FOLDER holds train/ and validation/ (or val/), each with one folder a class. Everything is computed
anew, in a temporary folder: ours is from the folder to a saved, calibrated, reported bundle (reading, curating,
features, head, evidence, report). `--plain` adds what one would write in an afternoon: decode one picture
after the other, the network in float32 on batches of 32, scikit-learn's LogisticRegression as it is. Beside the
seconds on the clock stand the processor's own, which other work on the machine disturbs less.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.machine import machine
from curation import curate
from tellapart.backbones import BACKBONES, EMBEDDED_BACKBONE
from tellapart.dataset import Dataset, Sample
from tellapart.folders import open_folder
from tellapart.progress import Progress
from tellapart.weights import load_weights
from training.options import TrainingOptions
from training.train import train

BATCH = 32
LEAST_SHOWN = 0.1  # seconds
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock, and of the processor in all threads."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} (processor {self.processor:.1f})"


class Clock:
    """Measures from when it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        """Since then."""
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._processor)


def main() -> None:
    """Print the machine and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plain", action="store_true", help="measure the plain way too (minutes)")
    parser.add_argument("--backbone", default=EMBEDDED_BACKBONE, choices=list(BACKBONES))
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        dataset, ours = measure_ours(arguments.folder, arguments.backbone, Path(scratch))
        if arguments.plain:
            plain = measure_plain(dataset.samples(), arguments.backbone)
            row("plain to ours, seconds", f"{plain.wall / ours.wall:.1f}x ({plain.processor / ours.processor:.1f}x)")


def measure_ours(folder: Path, backbone: str, scratch: Path) -> tuple[Dataset, Spent]:
    """From the folder to the whole bundle."""
    stages: dict[str, Progress] = {}

    def note(progress: Progress) -> None:
        stages[progress.stage] = progress

    clock = Clock()
    dataset = open_folder(folder, scratch / "cache", note)
    curate(dataset, 0, note)
    info = train(dataset, TrainingOptions(backbone=backbone), scratch / "bundle", note)
    spent = clock.spent()
    for stage in stages.values():
        if stage.seconds >= LEAST_SHOWN:
            row(f"  {stage.stage}, s", f"{stage.seconds:.1f}")
    how = info.preprocessing
    row("chosen", f"{how.fit}, {how.crop} pixels, C {info.training['c']:g}")
    row("ours end to end, s", str(spent))
    row(f"accuracy on {info.metrics['n']} pictures ({info.metrics['protocol']})", f"{info.metrics['accuracy']:.4f}")
    return dataset, spent


def measure_plain(samples: Sequence[Sample], backbone: str) -> Spent:
    """The plain features and the plain head, on the same pictures in the same run."""
    clock = Clock()
    features = plain_features(samples, backbone)
    row("  plain features, s", str(clock.spent()))
    held = np.array([s.split in ("val", "test") for s in samples])
    targets = np.array([s.class_index for s in samples])
    model = LogisticRegression(max_iter=1000).fit(features[~held], targets[~held])
    accuracy = model.score(features[held], targets[held])
    spent = clock.spent()
    row("plain end to end, s", str(spent))
    row("plain accuracy", f"{accuracy:.4f}")
    return spent


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
    main()
