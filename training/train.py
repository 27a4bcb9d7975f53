"""Data set to classifier: features, head, fine-tuning, evaluation, report, bundle. Needs torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tellapart.bundle import BundleInfo, write_bundle
from tellapart.dataset import Dataset
from tellapart.files import write_json
from tellapart.flags import almost_certain
from tellapart.neighbours import Neighbours
from tellapart.network import pick_device
from tellapart.predictions import Judged, write_predictions
from tellapart.progress import Progress, Report, Stage
from tellapart.weights import Weights, load_weights
from training.candidates import Candidate, Contest, contend, may_fine_tune, spent_file, why_not
from training.describe import Run, describe
from training.distributed import World
from training.durations import in_words
from training.features import Features, FeatureSource, extract
from training.fingerprint import fingerprint
from training.forked import imports_left_alone
from training.honesty import gather_evidence
from training.logs import RunLog
from training.options import ALONE, Circumstances, Mode, TrainingOptions, check
from training.protocol import Outcome, learn_and_judge
from training.report import write_report
from training.schedule import Budget
from training.spent import noting_time, spent_before
from training.views import extract_views, preprocessings, see_all, settle_view


@dataclass(frozen=True)
class _Start:
    """What a training begins with."""

    budget: Budget
    world: World
    weights: Weights
    resume: bool
    name: str


@imports_left_alone()
def train(
    dataset: Dataset,
    options: TrainingOptions,
    folder: Path,
    report: Report,
    circumstances: Circumstances = ALONE,
) -> BundleInfo:
    """Train a classifier and write its whole bundle, report included, into `folder`.

    Args:
        dataset: curated: its kept pictures have a split and a group.

    Raises:
        DataError: a class has fewer than 2 usable pictures to learn from.
        MissingError: the weights cannot be had.
        UsageError: an unknown backbone or device, or options that contradict one another.
        TellapartError: the disk is full, or another process of the training ended.
    """
    check(options)
    budget = Budget(options.budget, began=circumstances.began)
    world = circumstances.world or World(device=pick_device(options.device))
    if may_fine_tune(options, world.device):
        report = _going_on(dataset, options, budget, circumstances.resume, report)
    weights = load_weights(options.backbone, options.weights, options.seed)  # before a log: without them there is none
    if weights.note:
        report(Progress("backbone", note=weights.note, finished=True))
    start = _Start(budget, world, weights, circumstances.resume, circumstances.name)
    with RunLog(circumstances.runs, circumstances.name, options.to_json(), report) as log:
        return _train(dataset, options, folder, report, start, log)


def _going_on(dataset: Dataset, options: TrainingOptions, budget: Budget, resume: bool, report: Report) -> Report:
    """Count what killed processes spent on the same training, and let this one's time be written down."""
    file, identity = spent_file(dataset), fingerprint(dataset, replace(options, budget=None))
    budget.used_before = spent_before(file, identity) if resume else 0.0
    return noting_time(report, budget, file, identity)


def _train(
    dataset: Dataset,
    options: TrainingOptions,
    folder: Path,
    report: Report,
    start: _Start,
    log: RunLog,
) -> BundleInfo:
    budget, world, weights = start.budget, start.world, start.weights
    class_names = [c.name for c in dataset.classes]
    source, backbone = FeatureSource.of_weights(weights, world.device)
    begun = budget.used
    sources, features = _see(dataset, options, source, start, report)
    seen_at = budget.used
    fine_tuning = not why_not(options, world.device, features)
    sources, seen = settle_view(sources, features, options.seed) if fine_tuning else (sources, features)
    outcome = learn_and_judge(seen, class_names, options.seed, report)
    head = Candidate(Mode.HEAD, sources[outcome.choice.view], backbone, outcome)
    seconds = (budget.used - seen_at, seen_at - begun)
    contest = Contest(dataset, options, weights, features.view(0), seen, budget, *seconds, world, log, report)
    winner = contend(head, contest, start.resume)
    strangers = _strangers(dataset, winner.source, report)
    outcome, evidence = gather_evidence(
        winner.outcome, strangers, class_names, options.seed, report, _suspected(dataset)
    )
    winner = replace(winner, outcome=outcome)
    info = describe(Run(dataset, options, weights, features, winner, evidence, budget))
    with Stage(report, "report", total=1, unit="pages") as stage:
        info = write_bundle(folder, info, winner.backbone, outcome.head, _neighbours(outcome.learning or features))
        write_json(folder / "report" / "metrics.json", {"metrics": info.metrics, "training": info.training})
        write_predictions(folder, _judged(outcome, [c.slug for c in dataset.classes]))
        page = folder / "report" / "index.html"
        write_report(page, info, dataset, outcome, features.skipped, winner.source, start.name)
        stage.advance()
    if budget.left < 0:
        report(Progress("budget", note=_overrun(budget), finished=True))
    log.scalars({f"held_out/{name}": info.metrics[name] for name in ("accuracy", "balanced_accuracy", "ece")}, 0)
    return info


def _see(
    dataset: Dataset, options: TrainingOptions, source: FeatureSource, start: _Start, report: Report
) -> tuple[Sequence[FeatureSource], Features]:
    """Where the network itself may learn, every picture in every view: it begins with the usual one."""
    samples, ways, folder = dataset.training_samples(), preprocessings(start.weights), feature_folder(dataset)
    if may_fine_tune(options, start.world.device):
        return [source.seeing(p) for p in ways], see_all(samples, source, ways, folder, report)
    return extract_views(samples, source, ways, folder, options.seed, report)


def _overrun(budget: Budget) -> str:
    return (
        f"training took {in_words(budget.used)}, more than the {in_words(budget.seconds or 0)} of --budget: "
        "it bounds fine-tuning, while features, head and report take what they need"
    )


def _strangers(dataset: Dataset, source: FeatureSource, report: Report) -> NDArray[np.float32]:
    """Features (M, D) of the pictures that the user put into a folder named none."""
    samples = dataset.strangers()
    if not samples:
        return np.zeros((0, source.dim), np.float32)
    return extract(samples, source, feature_folder(dataset), report).values


def _suspected(dataset: Dataset) -> set[tuple[int, str]]:
    """(class index, sha256) of the pictures that are almost certainly wrong where they stand."""
    index = {c.slug: i for i, c in enumerate(dataset.classes)}
    return {(index[slug], sha256) for slug, sha256 in almost_certain(dataset) if slug in index}


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
