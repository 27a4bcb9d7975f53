"""How well a classifier knows what it does not know: python -m benchmarks.honesty FOLDER STRANGERS

Trains on a folder of class folders, all of it by cross-validation, and prints the calibration error, the
selective answers, and the share of pictures of none of the classes let through: classes left out in turn,
and the pictures of another folder of class folders. With --given N each class is left out once more, N of its
pictures are given as strangers, and the share of its other pictures let through is printed.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from curation.curate import curate
from tellapart.folders import open_folder
from tellapart.progress import silent
from tellapart.weights import load_weights
from training.features import Features, FeatureSource, extract
from training.head import fit_head
from training.honesty import gather_evidence
from training.protocol import learn_and_judge
from training.strangers import learn_rejection


def main() -> None:
    """Print one line a measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("strangers", type=Path)
    parser.add_argument("--given", type=int, default=0, metavar="N")
    asked = parser.parse_args()
    source, _ = FeatureSource.of_weights(load_weights("efficientnet_lite0", "auto", 0), torch.device("cpu"))
    with tempfile.TemporaryDirectory() as cache:
        names, known = _features(asked.folder, source, Path(cache))
        _, others = _features(asked.strangers, source, Path(cache))
    outcome = learn_and_judge(known, names, 0, silent)
    outcome, found = gather_evidence(outcome, others.values[:0], names, 0, silent)
    for name in ("calibration", "selective", "none_of_these", "random_split"):
        print(name, found[name])
    none = outcome.head.none_of_these(others.values, outcome.head.probabilities(others.values))
    print(f"strangers of {asked.strangers.name} let through: {np.mean(~none):.3f} of {len(none)}")
    if asked.given:
        shares = [_with_strangers(known, i, asked.given, outcome.choice.c) for i in range(len(names))]
        told = ", ".join(f"{name} {share:.2f}" for name, share in zip(names, shares, strict=True))
        print(f"a class left out, {asked.given} of it given, let through: {np.mean(shares):.3f} ({told})")


def _with_strangers(known: Features, left_out: int, given: int, c: float) -> float:
    """The share let through of a class that was left out, but for some of its pictures in `none`."""
    own = np.random.default_rng(0).permutation(np.flatnonzero(known.targets == left_out))
    rest = known.part(known.targets != left_out)
    targets = rest.targets - (rest.targets > left_out)
    n_classes = int(targets.max()) + 1
    learned = learn_rejection(rest.values, targets, rest.groups, known.values[own[:given]], (n_classes, c, 1.0), 0)
    if learned is None:
        raise SystemExit("too few pictures to learn when to say none of these")
    head, others = fit_head(rest.values, targets, n_classes, c), known.values[own[given:]]
    return float(np.mean(~learned[0].none_of_these(others, head.probabilities(others))))


def _features(folder: Path, source: FeatureSource, cache: Path) -> tuple[list[str], Features]:
    dataset = open_folder(folder, cache)
    curate(dataset)
    features = extract(dataset.samples(), source, cache / "features", silent)
    samples = [replace(sample, split="") for sample in features.samples]
    return [c.name for c in dataset.classes], Features(features.values, samples)


if __name__ == "__main__":
    main()
