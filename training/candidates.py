"""Two candidates: a head on fixed features, and the whole network fine-tuned; which is kept. Needs torch.

Both are compared on pictures that neither has learned from and that measure nothing afterwards (`protocol.cut`).
"""

import tempfile
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load

from tellapart.dataset import Dataset, Sample
from tellapart.head import Head
from tellapart.network import load_module
from tellapart.progress import Progress, Report
from tellapart.weights import Weights
from tellapart.wording import percent
from training.calibrate import fit_temperature
from training.distributed import World
from training.durations import in_words
from training.features import Features, FeatureSource, extract
from training.finetune import Job, Tuned, lead
from training.head import Choice
from training.logs import RunLog
from training.options import Mode, TrainingOptions, asked
from training.protocol import Outcome, Parts, cut, learn
from training.protocol_names import Protocol
from training.schedule import Budget
from training.state import Epoch
from training.trainable import Recipe
from training.trainer import DivergedError
from training.tune import search

LEAST_CHOOSING = 50  # validation pictures for `auto` to compare by
EPOCHS = {"cpu": 12, "cuda": 30}
EPOCHS_FROM_SCRATCH = 90
_BATCH = {"cpu": 16, "cuda": 64}
_RATE = {"adamw": 2e-4, "sgd": 5e-3}
_RATE_FROM_SCRATCH = 5.0  # times as much
_EVIDENCE = 2.0  # what comes after the network, in times of fitting the head
_REPORT = 8.0  # seconds, and to end a process that has torch
_SLOWER = 1.25  # what the features of the network take at the end, in times of the first: the machine may be busier
_ENOUGH_MEASURED = 100  # pictures that went through the network, to know how long one takes
_SEARCHING = 0.5  # of the time there is


@dataclass(frozen=True)
class Candidate:
    """A backbone with a head, measured.

    Attributes:
        mode: how it learned.
        source: its backbone, ready to compute features.
        backbone: the backbone's weights, serialized.
        outcome: its head and what it is worth.
        facts: what model.json says of fine-tuning, curves included; empty where there was none.
    """

    mode: Mode
    source: FeatureSource
    backbone: bytes
    outcome: Outcome
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contest:
    """What fine-tuning needs to know beside the head's candidate.

    Attributes:
        features: of all pictures, by the backbone as it began, as the network sees them.
        seen: the same in the views that the head may choose from.
        budget: of the whole training.
        head_seconds: what fitting and measuring the head took.
        feature_seconds: what the features took.
    """

    dataset: Dataset
    options: TrainingOptions
    weights: Weights
    features: Features
    seen: Features
    budget: Budget
    head_seconds: float
    feature_seconds: float
    world: World
    log: RunLog
    report: Report


def contend(head: Candidate, contest: Contest, resume: bool) -> Candidate:
    """The candidate that is kept: the head alone where nothing else learns, else the better by validation.

    With `--mode finetune` it is the fine-tuned network, unless there was no time for a step or it diverged.

    Args:
        resume: go on where a killed fine-tuning stopped.

    Raises:
        TellapartError: the disk is full, or another process ended.
    """
    reason = why_not(contest.options, contest.world.device, contest.features)
    if not reason:
        return _compete(head, contest, resume)
    given = asked(contest.options)
    if given or may_fine_tune(contest.options, contest.world.device):
        note = f"{reason}; {' and '.join(given)} changed nothing" if given else reason
        contest.report(Progress("fine-tuning", note=note, finished=True))
    return head


def may_fine_tune(options: TrainingOptions, device: torch.device) -> bool:
    """Whether fine-tuning is asked for, whatever the pictures."""
    return options.mode is Mode.FINETUNE or (options.mode is Mode.AUTO and device.type != "cpu")


def why_not(options: TrainingOptions, device: torch.device, features: Features) -> str:
    """Why only a head learns, as a sentence for people; "" where the whole network does."""
    if options.mode is Mode.HEAD:
        return "only a head was asked for"
    if not may_fine_tune(options, device):
        return "without a GPU a head on fixed features learns; with --mode finetune the whole network does"
    parts = cut(features, options.seed)
    known = set(parts.learn.targets.tolist())
    if not known.issuperset(features.targets.tolist()) or not parts.choose.samples or not parts.judge.samples:
        return (
            "too few pictures to fine-tune: each class needs some to learn from beside those to choose by and to judge"
        )
    few = len(parts.choose.samples) < LEAST_CHOOSING or parts.protocol is Protocol.HOLD_OUT
    if options.mode is Mode.AUTO and few:
        return (
            "too few pictures to tell whether fine-tuning helps, so a head learns; --mode finetune does it all the same"
        )
    return ""


def _compete(head: Candidate, contest: Contest, resume: bool) -> Candidate:
    parts, seen = (cut(features, contest.options.seed) for features in (contest.features, contest.seen))
    fit = partial(learn, n_classes=len(contest.dataset.classes), seed=contest.options.seed, tick=lambda: None)
    rival, rivals = fit(seen.learn)
    usual = contest.seen.views[rivals.view] is contest.features.values  # where a network begins
    start, choice = (rival, rivals) if usual else fit(parts.learn)
    job = replace(_job(contest, parts, head.backbone, start), resume=resume)
    facts: dict[str, Any] = {}
    try:
        if contest.options.tune:
            job, facts["search"] = _search(contest, job)
        tuned = lead(job, contest.world, contest.report, lambda row: _log(contest.log, row))
    except DivergedError as error:
        return _keep_head(head, contest, str(error), facts)
    if tuned is None:
        return _keep_head(head, contest, _too_short(contest.budget), facts)
    fine = _measure(contest, parts, tuned, choice)
    kept, sentence = _judge(contest.options.mode, fine, tuned.best, rival, seen.choose.view(rivals.view))
    contest.report(Progress("fine-tuning", note=sentence, finished=True))
    facts |= _facts(job.recipe, tuned, sentence, kept)
    return replace(fine if kept else head, facts=facts)


def forget_checkpoint(dataset: Dataset) -> None:
    """Remove what a killed fine-tuning would go on with; the classifier is there."""
    for file in (checkpoint_file(dataset), spent_file(dataset)):
        file.unlink(missing_ok=True)


def checkpoint_file(dataset: Dataset) -> Path:
    """Where a fine-tuning stands."""
    return dataset.cache / "fine-tuning.safetensors"


def spent_file(dataset: Dataset) -> Path:
    """Where the time is that it has taken."""
    return dataset.cache / "fine-tuning.json"


def _job(contest: Contest, parts: Parts, backbone: bytes, start: Head) -> Job:
    options, device = contest.options, contest.world.device.type
    seconds, pictures = _afterwards(contest)
    from_scratch = contest.weights.origin == "none"
    usual = Recipe(
        epochs=options.epochs or (EPOCHS_FROM_SCRATCH if from_scratch else EPOCHS[device]),
        batch_size=_BATCH[device],
        optimizer=options.optimizer,
        learning_rate=_RATE[options.optimizer] * (_RATE_FROM_SCRATCH if from_scratch else 1),
    )
    return Job(
        contest.weights.backbone.name,
        load(backbone),
        start,
        parts.learn.samples,
        parts.choose.samples,
        contest.weights.backbone.preprocessing,
        replace(usual, stage_decay=1.0) if from_scratch else usual,
        options.seed,
        fixed_norm=not from_scratch,
        cache=contest.dataset.cache,
        checkpoint=checkpoint_file(contest.dataset),
        seconds=options.budget,
        spent=contest.budget.used,
        reserve=seconds + _EVIDENCE * contest.head_seconds + _REPORT,
        reserve_pictures=pictures,
    )


def _afterwards(contest: Contest) -> tuple[float, int]:
    """What the features of the fine-tuned network will take: seconds where that is known, else pictures."""
    pictures, measured = len(contest.features.samples) + len(contest.dataset.strangers()), contest.features.computed
    if measured < _ENOUGH_MEASURED:
        return 0.0, pictures
    return _SLOWER * contest.feature_seconds * pictures / measured, 0


def _search(contest: Contest, job: Job) -> tuple[Job, dict[str, Any]]:
    time = Budget(None if job.seconds is None else _SEARCHING * contest.budget.left)
    storage = contest.dataset.cache / "search.sqlite"
    found = search(job, contest.options.tune, storage, contest.world, time, contest.report)
    return replace(job, recipe=found.recipe, spent=contest.budget.used), found.facts


def _log(log: RunLog, row: Epoch) -> bool:
    log.scalars({name: value for name, value in asdict(row).items() if name != "epoch"}, row.epoch)
    return True


def _keep_head(head: Candidate, contest: Contest, sentence: str, facts: dict[str, Any]) -> Candidate:
    contest.report(Progress("fine-tuning", note=sentence, finished=True))
    return replace(head, facts=facts | {"fine_tuning": {"kept": False, "sentence": sentence}})


def _too_short(budget: Budget) -> str:
    killed = f", of which killed runs spent {in_words(budget.used_before)}," if budget.used_before else ""
    return f"a budget of {in_words(budget.seconds or 0)}{killed} is too short to fine-tune, so a head learned"


def _measure(contest: Contest, parts: Parts, tuned: Tuned, choice: Choice) -> Candidate:
    """The fine-tuned candidate: calibrated on the choosing pictures, measured on those that judge."""
    weights = contest.weights
    module = load_module(weights.backbone, load(tuned.backbone))
    source, backbone = FeatureSource.of_weights(replace(weights, module=module), contest.world.device)
    features = _new_features(contest, source) if tuned.best else contest.features
    used = {*parts.learn.samples, *parts.choose.samples}
    learning, unseen, judged = (
        _among(features, part) for part in (used, set(parts.choose.samples), set(parts.judge.samples))
    )
    temperature = fit_temperature(unseen.values @ tuned.head.weight.T + tuned.head.bias, unseen.targets)
    head = replace(tuned.head, temperature=temperature)
    outcome = Outcome(
        head,
        replace(choice, temperature=temperature),
        parts.protocol,
        judged,
        head.probabilities(judged.values),
        len(parts.learn.samples),
        tuned.head.probabilities(judged.values),
        learning=learning,
        unseen=unseen,
        frozen=_among(contest.features, used),
    )
    return Candidate(Mode.FINETUNE, source, backbone, outcome)


def _new_features(contest: Contest, source: FeatureSource) -> Features:
    with tempfile.TemporaryDirectory(dir=contest.dataset.cache) as folder:
        return extract(contest.features.samples, source, Path(folder), contest.report, "new features")


def _among(features: Features, samples: Set[Sample]) -> Features:
    return features.part(np.array([s in samples for s in features.samples], dtype=np.bool_))


def _judge(mode: Mode, fine: Candidate, best: int, head: Head, seen: Features) -> tuple[bool, str]:
    """Whether the fine-tuned network is kept rather than a head, by what each sees of the pictures that choose."""
    chooser = fine.outcome.unseen
    assert chooser is not None
    ours, theirs = (_accuracy(h, f) for h, f in ((fine.outcome.head, chooser), (head, seen)))
    kept = mode is Mode.FINETUNE or ours > theirs
    nothing = "" if best else "fine-tuning made nothing better: "
    network = "fine-tuned network" if best else "network as it began"
    asked = ", as --mode finetune asks; --mode auto keeps the better one" if kept and ours <= theirs else ""
    return kept, (
        f"{nothing}of {len(chooser.samples)} validation pictures the {network} has {percent(ours)} right and a head on "
        f"fixed features {percent(theirs)}; the {network if kept else 'head'} is kept{asked}"
    )


def _accuracy(head: Head, features: Features) -> float:
    return float((head.probabilities(features.values).argmax(axis=1) == features.targets).mean())


def _facts(recipe: Recipe, tuned: Tuned, sentence: str, kept: bool) -> dict[str, Any]:
    return {
        "curves": [asdict(row) for row in tuned.curves],
        "fine_tuning": {
            "kept": kept,
            "sentence": sentence,
            "recipe": asdict(recipe),
            "best_epoch": tuned.best,
            "out_of_time": tuned.out_of_time,
            "resumed_at_epoch": tuned.resumed,
        },
    }
