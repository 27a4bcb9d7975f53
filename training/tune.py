"""Searching for fine-tuning's settings: short trainings judged on the choosing pictures alone. Needs torch.

Optuna's tree-structured Parzen estimator proposes, its median rule ends what falls behind. Trials are kept in
a SQLite file, so that a killed search goes on where it stopped. The usual settings are the first trial: a
search never ends with less.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy.engine import URL

from tellapart.files import readable_disk_errors
from tellapart.progress import Report, Stage, silent
from training.distributed import World
from training.finetune import Job, lead
from training.schedule import Budget
from training.state import Epoch
from training.trainable import Recipe
from training.trainer import DivergedError

_SHORTER = 3  # a trial has so many times fewer epochs
_LEAST_EPOCHS = 2
_STARTUP = 5  # trials without pruning
_SEARCHED = ("learning_rate", "stage_decay", "weight_decay", "label_smoothing", "augmentation")


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        recipe: the best settings, with all epochs.
        facts: for model.json: trials, and of the best one its settings, loss and number.
    """

    recipe: Recipe
    facts: dict[str, Any]


def search(job: Job, trials: int, storage: Path, world: World, budget: Budget, report: Report) -> Found:
    """Try settings until there are so many trials, those of an earlier call included, or the time is up.

    Args:
        job: with the usual settings and all epochs; a trial takes a third of them.
        storage: the SQLite file.
        budget: of the search alone.
    """
    with _study(job, storage) as study, Stage(report, "search", total=trials, unit="trials") as stage:
        stage.done = len(_finished(study))
        while (done := len(_finished(study))) < trials and budget.left > 0:
            trial = study.ask()
            try:
                study.tell(trial, _try(job, trial, trials - done, world, budget))
            except (optuna.TrialPruned, DivergedError):
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            stage.advance()
        return _found(job, study)


def _try(job: Job, trial: optuna.Trial, trials_left: int, world: World, budget: Budget) -> float:
    """The least validation loss after an epoch of one trial."""

    def go_on(row: Epoch) -> bool:
        trial.report(row.val_loss, row.epoch)
        return not trial.should_prune()

    recipe = replace(_suggest(job.recipe, trial), epochs=max(_LEAST_EPOCHS, job.recipe.epochs // _SHORTER))
    seconds = None if budget.seconds is None else budget.left / trials_left
    short = replace(job, recipe=recipe, checkpoint=None, seconds=seconds, spent=0.0, reserve=0.0, reserve_pictures=0)
    tuned = lead(short, world, silent, go_on)
    if tuned is None or (len(tuned.curves) <= recipe.epochs and trial.should_prune()):
        raise optuna.TrialPruned
    return min(row.val_loss for row in tuned.curves[1:])  # where it began is alike in all


def _suggest(usual: Recipe, trial: optuna.Trial) -> Recipe:
    rate = usual.learning_rate
    return replace(
        usual,
        learning_rate=trial.suggest_float("learning_rate", rate / 10, rate * 10, log=True),
        stage_decay=trial.suggest_float("stage_decay", 0.5, 1.0),
        weight_decay=trial.suggest_float("weight_decay", 1e-4, 0.3, log=True),
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.2),
        augmentation=trial.suggest_float("augmentation", 0.0, 1.0),
    )


@contextmanager
def _study(job: Job, storage: Path) -> Iterator[optuna.Study]:
    """The study of this job, with what earlier calls tried; a trial that was killed counts for nothing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with readable_disk_errors(storage):
        storage.parent.mkdir(parents=True, exist_ok=True)
    address = URL.create("sqlite", database=str(storage)).render_as_string(hide_password=False)
    kept = optuna.storages.RDBStorage(address)
    try:
        study = optuna.create_study(study_name=job.identity, storage=kept, load_if_exists=True)
        for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.sampler = optuna.samplers.TPESampler(seed=job.seed + len(study.trials), n_startup_trials=_STARTUP)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP)
        if not study.trials:
            usual = {n: v for n, v in asdict(job.recipe).items() if n in _SEARCHED}
            study.enqueue_trial(usual)
        yield study
    finally:
        kept.remove_session()
        kept.engine.dispose()


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    states = [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED]
    return study.get_trials(deepcopy=False, states=states)


def _found(job: Job, study: optuna.Study) -> Found:
    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    facts: dict[str, Any] = {"trials": len(_finished(study))}
    if not complete:
        return Found(job.recipe, facts)
    best = study.best_trial
    facts |= {"best_trial": best.number, "val_loss": best.value, "settings": best.params}
    return Found(replace(job.recipe, **best.params), facts)
