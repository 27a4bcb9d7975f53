"""Features whose truth is planted: class centres, and pictures around them."""

from pathlib import Path

import numpy as np

from tellapart.dataset import Sample
from training.features import Features

NAMES = ["a", "b", "c", "d"]
WIDTH = 40


def planted(n: int, classes: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 40) around class centres `spread` long in each direction, and class indices."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(42).normal(size=(classes, WIDTH)) * spread
    targets = np.arange(n) % classes
    return (centres[targets] + rng.normal(size=(n, WIDTH))).astype(np.float32), targets


def alone(n: int) -> np.ndarray:
    return np.arange(n).astype(np.str_)


def as_features(values: np.ndarray, targets: np.ndarray) -> Features:
    samples = [Sample(Path(f"p{i}"), int(t), f"p{i}", "train", f"p{i}") for i, t in enumerate(targets)]
    return Features(values, samples)
