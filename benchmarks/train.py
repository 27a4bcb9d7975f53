"""How fast and how good training is, beside a plain loop, on a folder with given splits.

    python -m benchmarks.train FOLDER [--plain] [--backbone NAME]

FOLDER holds train/ and validation/ (or val/), each with one folder a class. Everything is computed
anew, in a temporary folder. `--plain` adds what one would write in an afternoon: decode one picture
after the other, the network in float32 on batches of 32, scikit-learn's LogisticRegression as it is.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
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
from tellapart.progress import Progress, silent
from tellapart.weights import load_weights
from training.options import TrainingOptions
from training.train import train

BATCH = 32
Floats = NDArray[np.float32]


def main() -> None:
    """Print the machine and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plain", action="store_true", help="measure the plain loop too (minutes)")
    parser.add_argument("--backbone", default=EMBEDDED_BACKBONE, choices=list(BACKBONES))
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        dataset = open_folder(arguments.folder, Path(scratch) / "cache")
        curate(dataset, 0, silent)
        rate = measure_ours(dataset, arguments.backbone, Path(scratch) / "bundle")
        if arguments.plain:
            measure_plain(dataset, arguments.backbone, rate)


def measure_ours(dataset: Dataset, backbone: str, folder: Path) -> float:
    """Train whole; return pictures a second of feature extraction."""
    stages: dict[str, Progress] = {}

    def note(progress: Progress) -> None:
        stages[progress.stage] = progress

    started = time.perf_counter()
    info = train(dataset, TrainingOptions(backbone=backbone), folder, note)
    seconds = time.perf_counter() - started
    features = stages["features"]
    row("features, pictures/s", f"{features.rate:.1f}")
    row("head with the choice of C, s", f"{stages['head'].seconds:.1f}")
    row("training alone, whole, s", f"{seconds:.1f}")
    row(f"accuracy on {info.metrics['n']} pictures ({info.metrics['protocol']})", f"{info.metrics['accuracy']:.4f}")
    return features.rate


def measure_plain(dataset: Dataset, backbone: str, our_rate: float) -> None:
    """The plain loop and the plain head, on the same pictures in the same run."""
    samples = dataset.samples()
    started = time.perf_counter()
    features = plain_features(samples, backbone)
    rate = len(samples) / (time.perf_counter() - started)
    row("plain features, pictures/s", f"{rate:.1f}")
    row("ours to plain", f"{our_rate / rate:.1f}x")
    held = np.array([s.split in ("val", "test") for s in samples])
    targets = np.array([s.class_index for s in samples])
    started = time.perf_counter()
    model = LogisticRegression(max_iter=1000).fit(features[~held], targets[~held])
    row("plain head, s", f"{time.perf_counter() - started:.1f}")
    row("plain accuracy", f"{model.score(features[held], targets[held]):.4f}")


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
