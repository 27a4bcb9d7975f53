"""The data sets that the pages show: those known by name, and the one a classifier was trained on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flask import abort

from tellapart.dataset import Dataset
from tellapart.errors import NoDataError, TellapartError, UsageError
from tellapart.learned import known_datasets, trained_on
from tellapart.manifest import Attempt
from tellapart.names import check_name
from tellapart.settings import Settings
from tellapart.store import StoredModel, list_models
from webui.job_command import dataset_folder
from webui.jobs import Job
from webui.parts import parts


def find_dataset(name: str, settings: Settings) -> Dataset:
    """The data set of that name, else the one that the classifier of that name learned from; 404 where neither is."""
    try:
        root = settings.datasets / check_name(name, "data set")
    except UsageError:
        abort(404)
    if (root / "dataset.json").exists():
        return Dataset.open(root)
    return _of_classifier(name, settings) or abort(404)


def has_dataset(name: str, settings: Settings) -> bool:
    """Whether there is a data set of that name to look at."""
    return (settings.datasets / name / "dataset.json").exists() or _of_classifier(name, settings) is not None


def all_datasets(settings: Settings) -> Iterator[tuple[str, Dataset]]:
    """Every data set under the name that its page has; one that cannot be read is left out.

    A plain folder has that of the classifier that learned from it, of the first of them where there are several.
    """
    known, shown = known_datasets(settings), set()
    yield from ((dataset.root.name, dataset) for dataset in known if dataset.root.parent == settings.datasets)
    for model in sorted(_models(), key=lambda model: model.name):
        if model.promoted and not (settings.datasets / model.name).exists():
            dataset = _of_model(model, settings, known)
            if dataset and dataset.folder and dataset.root not in shown:
                shown.add(dataset.root)
                yield model.name, dataset


def is_ours(dataset: Dataset, settings: Settings) -> bool:
    """Whether its pictures are in our own folder, and not in one of somebody's own, nor linked from there."""
    ours = dataset.root.parent == settings.datasets and not dataset.root.is_symlink()
    return ours and dataset.folder is None


@contextmanager
def changing(dataset: Dataset) -> Iterator[None]:
    """Put something into a data set, and nobody deletes it or decides about it meanwhile.

    Raises:
        NoDataError: it was deleted.
        Busy: it takes others long.
    """
    with parts().staging.turn(dataset):
        refuse_deleted(dataset)
        yield


def refuse_deleted(dataset: Dataset) -> None:
    """Refuse to write into a data set that was deleted since it was opened, which would bring its folder back.

    Raises:
        NoDataError: it was.
    """
    if not (dataset.root / "dataset.json").exists():
        raise NoDataError(f"the data set {dataset.name} is gone", "See which there are under Data sets")


def deleted_folder(settings: Settings) -> Path:
    """Where data sets go before they are deleted, which takes a while; on the same disk."""
    return settings.datasets / ".deleted"


def find_picture(dataset: Dataset, class_slug: str, sha256: str) -> Attempt:
    """A picture that stands, or stood, in a class; 404 where there is none such."""
    found = [a for a in dataset.manifest.with_digest(sha256) if a.class_slug == class_slug and a.extension]
    return found[0] if found else abort(404)


def job_on(name: str, dataset: Dataset) -> Job | None:
    """The unfinished job for a name or its data set, whoever asked for it; None where there is none.

    Classifiers of several names may be trained on one data set.
    """
    where = dataset.folder or dataset.root
    active = parts().jobs.active()
    return next((j for j in active if name == j.name or dataset_folder(j, parts().settings) == where), None)


def refuse_at_work(name: str, dataset: Dataset) -> None:
    """Refuse to change a data set under an unfinished job: what comes between its stages is in none of its splits.

    Raises:
        UsageError: there is one.
    """
    if job_on(name, dataset):
        raise UsageError(f"a job is working on {name}", "Wait for it, or stop it first")


def _of_classifier(name: str, settings: Settings) -> Dataset | None:
    current = next((m for m in _models(name) if m.promoted), None)
    return _of_model(current, settings) if current else None


def _of_model(model: StoredModel, settings: Settings, known: Sequence[Dataset] | None = None) -> Dataset | None:
    try:
        return trained_on(model.info, settings, known)
    except TellapartError:
        return None


def _models(name: str | None = None) -> list[StoredModel]:
    try:
        return list_models(name)
    except TellapartError:
        return []
