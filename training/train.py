"""Data set to classifier: features, head, evaluation, report, bundle. Needs torch."""

import platform
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.bundle import BundleInfo, write_bundle
from tellapart.dataset import Dataset
from tellapart.files import write_json
from tellapart.manifest import now
from tellapart.neighbours import Neighbours
from tellapart.network import pick_device
from tellapart.predictions import Judged, write_predictions
from tellapart.progress import Progress, Report, Stage
from tellapart.weights import Weights, load_weights
from training.features import Features, FeatureSource, count_skipped, extract
from training.fingerprint import RECIPE, fingerprint
from training.honesty import gather_evidence
from training.metrics import balanced_accuracy_interval, summarize, wilson
from training.options import TrainingOptions
from training.protocol import Outcome, learn_and_judge
from training.report import write_report
from training.views import extract_views, preprocessings

_PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "pillow", "bentoml")


@dataclass(frozen=True)
class _Run:
    """One training as the bundle describes it."""

    dataset: Dataset
    options: TrainingOptions
    weights: Weights
    features: Features
    outcome: Outcome
    evidence: dict[str, Any]
    source: FeatureSource
    started: float


def train(dataset: Dataset, options: TrainingOptions, folder: Path, report: Report) -> BundleInfo:
    """Train a classifier in head mode and write its whole bundle, report included, into `folder`.

    Args:
        dataset: curated: its kept pictures have a split and a group.

    Raises:
        DataError: a class has fewer than 2 usable pictures to learn from.
        MissingError: the weights cannot be had.
        UsageError: an unknown backbone or device.
    """
    started = time.monotonic()
    device = pick_device(options.device)
    weights = load_weights(options.backbone, options.weights, options.seed)
    if weights.note:
        report(Progress("backbone", note=weights.note, finished=True))
    source, backbone = FeatureSource.of_weights(weights, device)
    ways = preprocessings(weights, fine_tuning=False)
    sources, features = extract_views(
        dataset.training_samples(), source, ways, feature_folder(dataset), options.seed, report
    )
    outcome = learn_and_judge(features, [c.name for c in dataset.classes], options.seed, report)
    source, features = sources[outcome.choice.view], features.view(outcome.choice.view)
    strangers = _strangers(dataset, source, report)
    outcome, evidence = gather_evidence(outcome, strangers, [c.name for c in dataset.classes], options.seed, report)
    info = _describe(_Run(dataset, options, weights, features, outcome, evidence, source, started))
    with Stage(report, "report", total=1, unit="pages") as stage:
        info = write_bundle(folder, info, backbone, outcome.head, _neighbours(outcome.learning or features))
        write_json(folder / "report" / "metrics.json", {"metrics": info.metrics, "training": info.training})
        write_predictions(folder, _judged(outcome, [c.slug for c in dataset.classes]))
        write_report(folder / "report" / "index.html", info, dataset, outcome, features.skipped, source)
        stage.advance()
    return info


def _strangers(dataset: Dataset, source: FeatureSource, report: Report) -> NDArray[np.float32]:
    """Features (M, D) of the pictures that the user put into a folder named none."""
    samples = dataset.strangers()
    if not samples:
        return np.zeros((0, source.dim), np.float32)
    return extract(samples, source, feature_folder(dataset), report).values


def _judged(outcome: Outcome, slugs: list[str]) -> list[Judged]:
    """What it said of each picture it was measured on."""
    return [
        Judged(sample.sha256, slugs[sample.class_index], slugs[int(row.argmax())], round(float(row.max()), 6))
        for sample, row in zip(outcome.judged.samples, outcome.probabilities, strict=True)
    ]


def _neighbours(learning: Features) -> Neighbours:
    return Neighbours.of(learning.values, [s.sha256 for s in learning.samples], learning.targets)


def feature_folder(dataset: Dataset) -> Path:
    """Where the features of a data set are cached."""
    return dataset.cache / "features"


def _describe(run: _Run) -> BundleInfo:
    backbone = run.weights.backbone
    return BundleInfo(
        classes=run.dataset.classes,
        preprocessing=run.source.preprocessing,
        backbone=backbone.name,
        backbone_sha256=run.source.backbone_sha256,
        head_sha256="",  # known when it is written
        weights=run.weights.origin,
        temperature=run.outcome.head.temperature,
        reject_threshold=None,
        metrics=_metrics(run.outcome, [c.name for c in run.dataset.classes]) | run.evidence,
        dataset=_dataset_facts(run),
        training=_training_facts(run),
        packages={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        created=now(),
    )


def _metrics(outcome: Outcome, class_names: list[str]) -> dict[str, Any]:
    metrics = summarize(outcome.judged.targets, outcome.probabilities, class_names)
    low, high = wilson(round(metrics["accuracy"] * metrics["n"]), metrics["n"])
    balanced_low, balanced_high = balanced_accuracy_interval(np.array(metrics["confusion"]))
    return metrics | {
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy_low": balanced_low,
        "balanced_accuracy_high": balanced_high,
        "protocol": outcome.protocol.value,
    }


def _dataset_facts(run: _Run) -> dict[str, Any]:
    used = run.features.samples
    counts = Counter(s.class_index for s in used)
    return {
        "name": run.dataset.name,
        "digest": run.dataset.digest(),
        "pictures": len(used),
        "counts": {c.name: counts[i] for i, c in enumerate(run.dataset.classes)},
        "splits": dict(Counter(s.split or "train" for s in used)),
        "groups": len({s.group_id for s in used}),
        "skipped": count_skipped(run.features.skipped),
        "sources": list(run.dataset.sources),
    }


def _training_facts(run: _Run) -> dict[str, Any]:
    choice = run.outcome.choice
    return run.options.to_json() | {
        "mode": "head",
        "fingerprint": fingerprint(run.dataset, run.options),
        "note": run.weights.note,
        "c": choice.c,
        "folds": choice.folds,
        "pictures": run.outcome.n_fitted,
        "processor": run.source.extractor.device.type,
        "numeric_form": run.source.extractor.form,
        "features_computed": run.features.computed,
        "seconds": round(time.monotonic() - run.started, 1),
        "recipe": RECIPE,
    }
