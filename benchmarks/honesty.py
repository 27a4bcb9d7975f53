"""How well a classifier knows what it does not know: python -m benchmarks.honesty FOLDER STRANGERS

Trains on a folder of class folders as `tellapart train` does, all of it by cross-validation, and prints the
calibration error, the selective answers, and the share of pictures of none of the classes let through: classes left
out in turn, and the pictures of another folder of class folders. With --given N... each class is left out once more for
each N, so many of its pictures (half of them at most) are given as strangers, and the share of its other pictures let
through is printed: with half of them, that is what the features allow. --cache FOLDER keeps the features.
Chance moves the calibration error of one cut into folds by a third, so its aim goes by the mean of --cuts N of them.
The exit status is 1 where the calibration error or the share of classes left out that is let through misses its aim.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.aims import Aim, judge
from benchmarks.machine import machine
from curation.curate import curate
from tellapart.folders import open_folder
from tellapart.progress import silent
from tellapart.weights import Weights, load_weights
from training.features import Features, FeatureSource
from training.head import fit_head
from training.honesty import gather_evidence
from training.metrics import expected_calibration_error
from training.protocol import learn_and_judge
from training.refits import Refits
from training.strangers import learn_rejection
from training.views import extract_views, preprocessings


def main() -> int:
    """Print one line a measure, and what of it was aimed at."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("strangers", type=Path)
    parser.add_argument("--given", type=int, nargs="+", default=[], metavar="N")
    parser.add_argument("--cuts", type=int, default=6, metavar="N")
    parser.add_argument("--cache", type=Path)
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        cache = asked.cache or Path(scratch)
        weights = load_weights("efficientnet_lite0", "auto", 0)
        source, _ = FeatureSource.of_weights(weights, torch.device("cpu"))
        names, known = read_features(asked.folder, weights, source, cache)
        _, others = read_features(asked.strangers, weights, source, cache)
    return judge(measure(names, known, others, asked.given, asked.cuts))


def measure(names: list[str], known: Features, others: Features, given: Sequence[int], cuts: int) -> list[Aim]:
    """Learn from the known pictures in the view that does best, print what it is worth, return what it aimed at."""
    outcome = learn_and_judge(known, names, 0, silent)
    view = outcome.choice.view
    every_view, known, others = known, known.view(view), others.view(view)
    print(f"view {view}, C {outcome.choice.c:g}")
    outcome, found = gather_evidence(outcome, others.values[:0], names, 0, silent)
    found["calibration"].pop("bins")
    for name in ("calibration", "selective"):
        print(name, found[name])
    errors = [found["calibration"]["after"], *(_calibration_error(every_view, names, seed) for seed in range(1, cuts))]
    print(f"calibration error, mean of {cuts} cuts: {np.mean(errors):.4f} ({', '.join(f'{e:.3f}' for e in errors)})")
    rejection = found["none_of_these"]
    if rejection is None:
        raise SystemExit("too few pictures to learn when to say none of these")
    for name, value in rejection.items():
        print(f"  {name}", _by_class(value) if name == "false_accept_by_class" else value)
    none = outcome.head.none_of_these(others.values, outcome.head.probabilities(others.values))
    print(f"strangers of another kind let through: {np.mean(~none):.3f} of {len(none)}")
    for count in given:
        shares = [_with_strangers(known, i, count, outcome.choice.c) for i in range(len(names))]
        told = ", ".join(f"{name} {share:.2f}" for name, share in zip(names, shares, strict=True))
        print(f"a class left out, {count} of it given, let through: {np.mean(shares):.3f} ({told})", flush=True)
    left_out = rejection["false_accept"]
    return [
        Aim("calibration error", float(np.mean(errors)), 0.03, at_most=True),
        Aim("of a class left out, let through", left_out["share"] if left_out else math.nan, 0.35, at_most=True),
    ]


def _calibration_error(known: Features, names: list[str], seed: int) -> float:
    outcome = learn_and_judge(known, names, seed, silent)
    return expected_calibration_error(outcome.judged.targets, outcome.probabilities)


def _by_class(shares: dict[str, dict[str, float]]) -> str:
    return ", ".join(f"{name} {share['share']:.2f}" for name, share in shares.items())


def _with_strangers(known: Features, left_out: int, given: int, c: float) -> float:
    """The share let through of a class that was left out, but for some of its pictures in `none`."""
    own = np.random.default_rng(0).permutation(np.flatnonzero(known.targets == left_out))
    given = min(given, len(own) // 2)
    rest = known.part(known.targets != left_out)
    targets = rest.targets - (rest.targets > left_out)
    n_classes = int(targets.max()) + 1
    learned = learn_rejection(
        Refits(rest.values, targets, rest.groups, n_classes, c, 0), known.values[own[:given]], 1.0
    )
    if learned is None:
        raise SystemExit("too few pictures to learn when to say none of these")
    head, others = fit_head(rest.values, targets, n_classes, c), known.values[own[given:]]
    return float(np.mean(~learned[0].none_of_these(others, head.probabilities(others))))


def read_features(folder: Path, weights: Weights, source: FeatureSource, cache: Path) -> tuple[list[str], Features]:
    """Class names and features in every view of all pictures of a folder, none of them set apart to judge."""
    dataset = open_folder(folder, cache)
    curate(dataset)
    samples = [replace(sample, split="") for sample in dataset.samples()]
    _, features = extract_views(samples, source, preprocessings(weights), cache / "features", 0, silent)
    return [c.name for c in dataset.classes], features


if __name__ == "__main__":
    sys.exit(main())
