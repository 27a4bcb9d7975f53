"""What model.json says of a classifier: its numbers, its data set, how it was trained. Needs torch."""

import platform
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from tellapart.bundle import BundleInfo
from tellapart.dataset import Dataset, Role
from tellapart.golden import golden_answers
from tellapart.intervals import wilson
from tellapart.manifest import now
from tellapart.public import public_source
from tellapart.weights import Weights
from training.candidates import Candidate
from training.features import Features, count_skipped, torch_threads
from training.fingerprint import RECIPE, fingerprint
from training.metrics import balanced_accuracy_interval, effective_number, summarize
from training.options import TrainingOptions
from training.protocol import Outcome
from training.schedule import Budget

_PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "pillow", "bentoml")


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        weights: what it began with.
        features: of every picture, by those weights.
        winner: the candidate that is kept.
        evidence: see `honesty`.
        budget: says how long it took.
    """

    dataset: Dataset
    options: TrainingOptions
    weights: Weights
    features: Features
    winner: Candidate
    evidence: dict[str, Any]
    budget: Budget


def describe(run: Run) -> BundleInfo:
    """The bundle's model.json, but for the digests of what is not written yet."""
    source, head = run.winner.source, run.winner.outcome.head
    with torch_threads(1):
        golden, golden_bfloat16 = golden_answers(run.weights.backbone, run.winner.backbone, source.preprocessing, head)
    return BundleInfo(
        classes=run.dataset.classes,
        preprocessing=source.preprocessing,
        backbone=run.weights.backbone.name,
        backbone_sha256=source.backbone_sha256,
        head_sha256="",  # known when it is written
        weights=run.weights.origin,
        temperature=head.temperature,
        reject_threshold=None,
        metrics=_metrics(run.winner.outcome, [c.name for c in run.dataset.classes]) | run.evidence,
        dataset=_dataset_facts(run),
        training=_training_facts(run),
        packages={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        created=now(),
        golden=golden,
        golden_bfloat16=golden_bfloat16,
    )


def _metrics(outcome: Outcome, class_names: list[str]) -> dict[str, Any]:
    metrics = summarize(outcome.judged.targets, outcome.probabilities, class_names)
    judged = outcome.judged
    n = effective_number(outcome.probabilities.argmax(axis=1) == judged.targets, judged.groups)
    low, high = wilson(metrics["accuracy"] * n, n)
    worth = n / max(1, metrics["n"])
    balanced_low, balanced_high = balanced_accuracy_interval(np.array(metrics["confusion"]), worth)
    return metrics | {
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy_low": balanced_low,
        "balanced_accuracy_high": balanced_high,
        "protocol": outcome.protocol.value,
    }


def _dataset_facts(run: Run) -> dict[str, Any]:
    used = [s for s in run.features.samples if s.role is not Role.JUDGE]
    counts = Counter(s.class_index for s in used)
    digests = {s.sha256 for s in used}
    attempts = [a for a in run.dataset.manifest.kept() if a.sha256 in digests]
    return {
        "name": run.dataset.name,
        "digest": run.dataset.digest(),
        "pictures": len(used),
        "counts": {c.name: counts[i] for i, c in enumerate(run.dataset.classes)},
        "splits": dict(Counter(s.split or "train" for s in used)),
        "groups": len({s.group_id for s in used}),
        "skipped": count_skipped(run.features.skipped),
        "sources": list(run.dataset.sources),
        "origins": dict(Counter(public_source(a.source) or "unknown" for a in attempts)),
        "licenses": dict(Counter(a.license or "not stated" for a in attempts)),
    }


def _training_facts(run: Run) -> dict[str, Any]:
    choice = run.winner.outcome.choice
    return run.options.to_json() | {
        "mode": run.winner.mode.value,
        "mode_asked": run.options.mode.value,
        "fingerprint": fingerprint(run.dataset, run.options),
        "note": run.weights.note,
        "c": choice.c,
        "adjustment": choice.adjustment,
        "folds": choice.folds,
        "pictures": run.winner.outcome.n_fitted,
        "processor": run.winner.source.extractor.device.type,
        "numeric_form": run.winner.source.extractor.form,
        "features_computed": run.features.computed,
        "seconds": round(run.budget.used, 1),
        "recipe": RECIPE,
        **run.winner.facts,
    }
