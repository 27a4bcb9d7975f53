"""Which signs tell a class nobody gave a picture of: python -m benchmarks.strangers FOLDER [--cache FOLDER]

Every class of a folder of class folders is left out in turn. What each sign, and sums of signs divided by their spread
among known pictures, would let through of it is printed, as the mean over classes where 5 % of known pictures
that were not learned from are turned away, beside the area under the curve; on the centre at 224 pixels and on the
whole picture at 288.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.honesty import read_features
from benchmarks.machine import machine
from tellapart.folds import grouped_folds
from tellapart.rejection import Rejection, log_odds, unit
from tellapart.weights import load_weights
from training.features import Features, FeatureSource
from training.head import fit_head
from training.stranger_evidence import threshold_of
from training.strangers import spacing

C = 0.003
FOLDS = 3
Floats = NDArray[np.float32]
Scores = NDArray[np.float64]
Signs = Mapping[str, Callable[[Floats], Scores]]
SUMS = {
    "confidence, class means (the rule before)": ("top probability", "mean, standardised", "mean"),
    "confidence, nearest, outlier factor (the rule)": ("top probability", "nearest", "local outlier factor"),
}


def main() -> None:
    """Print one line a sign, the lowest share first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        weights = load_weights("efficientnet_lite0", "auto", 0)
        source, _ = FeatureSource.of_weights(weights, torch.device("cpu"))
        _, features = read_features(asked.folder, weights, source, asked.cache or Path(scratch))
    with threadpool_limits(1):
        views = [measure(features.view(i)) for i in range(len(features.views))]
    for name in sorted(views[0], key=lambda name: sum(view[name][0] for view in views)):
        print(f"{name:<48}" + "   ".join("{:.2f} {:.2f}".format(*view[name]) for view in views))


def measure(features: Features) -> dict[str, tuple[float, float]]:
    """Share let through and area under the curve of each sign and sum, means over the classes left out."""
    values, targets, groups = features.values, features.targets, features.groups
    found: dict[str, list[tuple[float, float]]] = {}
    for left_out in np.unique(targets):
        rest, own = np.flatnonzero(targets != left_out), values[targets == left_out]
        pairs: dict[str, list[tuple[Scores, Scores]]] = {}
        for train, held in grouped_folds(targets[rest], groups[rest], 0, FOLDS):
            labels = np.unique(targets[rest[train]], return_inverse=True)[1]
            for name, sign in signs(values[rest[train]], labels).items():
                pairs.setdefault(name, []).append((sign(values[rest[held]]), sign(own)))
        columns = {name: tuple(map(np.concatenate, zip(*parts, strict=True))) for name, parts in pairs.items()}
        for name, members in SUMS.items():
            spread = [columns[m][0].std() for m in members]
            columns[name] = tuple(sum(columns[m][i] / s for m, s in zip(members, spread, strict=True)) for i in (0, 1))
        for name, (known, strange) in columns.items():
            found.setdefault(name, []).append(_worth(known, strange))
    return {name: tuple(np.mean(rows, axis=0)) for name, rows in found.items()}


def _worth(known: Scores, strange: Scores) -> tuple[float, float]:
    through = float((strange >= threshold_of(known)).mean())
    return through, float(roc_auc_score(np.repeat([1, 0], [len(known), len(strange)]), np.append(known, strange)))


def signs(train: Floats, labels: NDArray[np.int64]) -> dict[str, Callable[..., Scores]]:
    """Scores of pictures by name, high for known ones, of what was learned from features (N, D) with labels (N,)."""
    return _by_head(train, labels) | _by_features(train, labels)


def _by_head(train: Floats, labels: NDArray[np.int64]) -> Signs:
    n_classes, rng = int(labels.max()) + 1, np.random.default_rng(0)
    head = fit_head(train, labels, n_classes, C)
    first, second = rng.integers(0, len(train), (2, 4 * len(train)))
    pairs = np.flatnonzero(labels[first] != labels[second])[: len(train)]
    share = rng.uniform(0.3, 0.7, (len(pairs), 1)).astype(np.float32)
    mixed = share * train[first[pairs]] + (1 - share) * train[second[pairs]]
    versus = fit_head(
        np.concatenate([train, mixed]), np.append(labels, np.full(len(mixed), n_classes)), n_classes + 1, C
    )

    def logits(rows: Floats) -> Scores:
        return (rows @ head.weight.T + head.bias).astype(np.float64)

    def against_mixed(rows: Floats) -> Scores:
        found = (rows @ versus.weight.T + versus.bias).astype(np.float64)
        return np.asarray(logsumexp(found[:, :-1], axis=1) - found[:, -1])

    return {
        "top probability": lambda rows: log_odds(head.probabilities(rows)),
        "largest logit": lambda rows: logits(rows).max(axis=1),
        "energy": lambda rows: np.asarray(logsumexp(logits(rows), axis=1)),
        "against mixtures of two classes": against_mixed,
    }


def _by_features(train: Floats, labels: NDArray[np.int64]) -> Signs:
    centre, scale = train.mean(axis=0), train.std(axis=0) + np.float32(1e-6)

    def standard(rows: Floats) -> Floats:
        return unit((rows - centre) / scale)

    rule = Rejection(unit(train), spacing(unit(train)), 0.0, 0.0, 0.0, 0.0)
    nothing = np.ones((1, 2), np.float32) / 2
    return {
        "mean": _mean(train, labels, unit),
        "mean, by each class's spread": _mean(train, labels, unit, each=True),
        "mean, standardised": _mean(train, labels, standard),
        "nearest": lambda rows: rule.columns(rows, nothing.repeat(len(rows), axis=0))[:, 1],
        "local outlier factor": lambda rows: rule.columns(rows, nothing.repeat(len(rows), axis=0))[:, 2],
        "5 nearest": _nearest(train, unit),
        "5 nearest, standardised": _nearest(train, standard),
    }


def _mean(
    train: Floats, labels: NDArray[np.int64], space: Callable[[Floats], Floats], each: bool = False
) -> Callable[[Floats], Scores]:
    """Cosine to the nearest class's mean; with `each` by mean and spread of the class's own."""
    own = space(train)
    means = unit(np.stack([own[labels == i].mean(axis=0) for i in np.unique(labels)]))
    cosines = [own[labels == i] @ means[i] for i in range(len(means))]
    middle, spread = (
        np.array([f(c) for c in cosines]) if each else default for f, default in ((np.mean, 0), (np.std, 1))
    )
    return lambda rows: ((space(rows) @ means.T - middle) / spread).max(axis=1)


def _nearest(train: Floats, space: Callable[[Floats], Floats], count: int = 5) -> Callable[[Floats], Scores]:
    """Mean cosine to the nearest pictures."""
    own = space(train)
    return lambda rows: np.sort(space(rows) @ own.T, axis=1)[:, -count:].mean(axis=1)


if __name__ == "__main__":
    main()
