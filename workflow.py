"""collect -> curate -> train -> publish: the stages joined, each one resumable.

The command line calls these, and so does whatever runs the work in the background. A stage that finds
its result already there does nothing; a killed one goes on where it stopped.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation import CurationSummary
from curation import curate as curate_dataset
from curation.confident import confident_actions
from scraping.collect import collect as collect_pictures
from scraping.queries import NO_QUERIES
from scraping.sources import make_source
from tellapart.actions import apply, undo
from tellapart.backbones import EMBEDDED_BACKBONE, check_weights_file
from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.errors import MissingError, NoDataError, UsageError
from tellapart.flags import Suspect, from_flags, is_searched, remember_search
from tellapart.licenses import LicenseFilter
from tellapart.names import ClassName, check_name
from tellapart.progress import Progress, Report
from tellapart.settings import Settings
from tellapart.store import StoredModel, list_models, new_model, promote, resolve
from training.class_folders import find_class_folders
from training.export_archive import check_exportable
from training.options import Circumstances, TrainingOptions, check
from training.predict import PredictionRow

if TYPE_CHECKING:
    from tellapart.weights import Weights
    from training.distributed import World
    from training.export import Exported

DEFAULT_PER_CLASS = 200
DEFAULT_SOURCE = "openverse"


@dataclass(frozen=True)
class Plan:
    """Everything `create` needs to know.

    Attributes:
        name: of the data set and of the classifier.
        classes: what to tell apart.
        sources: where to look, asked in this order.
        per_class: pictures wanted of each class.
        queries: words to search for beside a class's name, by its slug.
        training: how to train.
        since: ask sources only for what is new since this day.
        license: which licences the pictures may have.
    """

    name: str
    classes: tuple[ClassName, ...]
    sources: tuple[str, ...] = (DEFAULT_SOURCE,)
    per_class: int = DEFAULT_PER_CLASS
    queries: Mapping[str, Sequence[str]] = field(default_factory=dict)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    since: date | None = None
    license: LicenseFilter = LicenseFilter.ANY


def create(
    plan: Plan, settings: Settings, report: Report, resume: bool = True, world: "World | None" = None
) -> StoredModel:
    """From class names to a promoted classifier in the model store; `resume` and `world` as in `train`.

    Raises:
        UsageError: the name is taken by a data set of other classes, or a source is unknown.
        TellapartError: a stage failed; what it had done is kept, and the same call goes on there.
    """
    root = settings.datasets / check_name(plan.name)
    _refuse_other_classes(root, plan)
    check(plan.training)
    check_weights_file(plan.training.weights)
    dataset = collect(
        root, plan.classes, plan.sources, plan.per_class, settings, report, plan.queries, plan.since, plan.license
    )
    return train(dataset, plan.name, plan.training, settings, report, resume, world)


def collect(
    root: Path,
    classes: Sequence[ClassName],
    sources: Sequence[str],
    per_class: int,
    settings: Settings,
    report: Report,
    queries: Mapping[str, Sequence[str]] = NO_QUERIES,
    since: date | None = None,
    license: LicenseFilter = LicenseFilter.ANY,  # noqa: A002
) -> Dataset:
    """Fill a data set's classes from sources, making the data set where there is none.

    `queries` are words to search for beside a class's name, by its slug. With `since`, sources are asked
    only for what is new since that day; pictures of another `license` are turned away. What a source failed
    at, with pictures there all the same, is reported as a note.

    Raises:
        UsageError: there is no such source, or it cannot say what is new.
        SourceError: a source refused, or a class has no picture; what was found is kept.
    """
    with ExitStack() as stack:
        opened = []
        for spec in sources:
            source = make_source(spec, settings, since)
            stack.callback(source.close)
            opened.append(source)
        _forget_empty_classes(root, classes)
        dataset = Dataset.create(root, root.name, classes, sources)
        summary = collect_pictures(dataset, opened, per_class, settings, report, queries, license)
    for number, problem in enumerate(summary.problems, start=1):
        report(Progress(f"problem {number}", note=problem, finished=True))
    return dataset


def curate(dataset: Dataset, seed: int, report: Report) -> CurationSummary:
    """Group duplicates, set conflicts aside and assign splits; the same data set gives the same result."""
    return curate_dataset(dataset, seed, report)


def find_suspects(dataset: Dataset, options: TrainingOptions, report: Report) -> list[Suspect]:
    """Flag the pictures of a curated data set that are probably wrong; nothing is taken out.

    Backbone, weights, device and seed are those of training, so that features are computed once; every view that
    training may choose from is looked at, side by side, so that nothing has to choose. Random weights see
    nothing, so in their place the usual ones look for suspects, or the embedded ones where the usual ones
    cannot be had.

    Raises:
        MissingError: no weights to be had.
    """
    _say_loading(report)
    return _search(dataset, options, report)


def _say_loading(report: Report) -> None:
    """Say why nothing moves for seconds."""
    note = "loading PyTorch; weights that are not on this machine are downloaded"
    report(Progress("start", note=note, finished=True))


def _search(dataset: Dataset, options: TrainingOptions, report: Report) -> list[Suspect]:
    from curation.flagging import flag_suspects
    from tellapart.network import pick_device
    from training.features import FeatureSource
    from training.train import feature_folder
    from training.views import preprocessings, see_all

    weights = _seeing_weights(options)
    source, _ = FeatureSource.of_weights(weights, pick_device(options.device))
    samples = dataset.samples()
    features = see_all(samples, source, preprocessings(weights), feature_folder(dataset), report)
    suspects = flag_suspects(dataset, features.samples, features.side_by_side, options.seed, report)
    remember_search(dataset, [s.sha256 for s in samples])
    return suspects


def _tell_suspects(dataset: Dataset, options: TrainingOptions, settings: Settings, report: Report) -> None:
    """Say how many pictures look wrong, and search anew where a data set of ours has some that no search has seen.

    Nobody asked for a search in a folder of one's own, and it may take as long as the training.
    """
    from curation.telling import UNSEARCHED, advice, how_to_see

    where = _shortest_name(dataset, settings)
    if is_searched(dataset):
        note = advice(where, dataset, from_flags(dataset.manifest.kept()))
    elif dataset.folder:
        note = f"{UNSEARCHED}; {how_to_see(where)}"
    else:
        note = advice(where, dataset, _search(dataset, options, report))
    report(Progress("check", note=note, finished=True))


def _shortest_name(dataset: Dataset, settings: Settings) -> str:
    """What to type for a data set."""
    if dataset.folder:
        return str(dataset.folder)
    return dataset.root.name if dataset.root.parent == settings.datasets else str(dataset.root)


def _seeing_weights(options: TrainingOptions) -> "Weights":
    from tellapart.weights import load_weights

    if options.weights != "none":
        return load_weights(options.backbone, options.weights, options.seed)
    try:
        return load_weights(options.backbone, "auto", options.seed)
    except MissingError:
        return load_weights(EMBEDDED_BACKBONE, "auto", options.seed)


def apply_confident(dataset: Dataset, seed: int, report: Report) -> tuple[list[Action], CurationSummary]:
    """Take the confident suspects out, or to the class they belong to, and curate again; `undo_apply` reverts it.

    Raises:
        DataError: a class has too few pictures left; they are taken out all the same.
    """
    actions = confident_actions(dataset, from_flags(dataset.manifest.kept()))
    if actions:
        apply(dataset, actions)
    return actions, curate(dataset, seed, report)


def undo_apply(dataset: Dataset, seed: int, report: Report) -> list[Action]:
    """Take back the last `apply_confident` that is in force, and curate again; a person's decisions stay."""
    undone = undo(dataset, by="curate")
    if undone:
        curate(dataset, seed, report)
    return undone


def train(
    dataset: Dataset,
    name: str,
    options: TrainingOptions,
    settings: Settings,
    report: Report,
    resume: bool = True,
    world: "World | None" = None,
    began: float | None = None,
) -> StoredModel:
    """Curate, look for suspects, train and publish; the new version answers from now on.

    A version that was trained in the same way on the same data is used as it is. Suspects are flagged and told,
    never taken out; a folder of one's own is searched by `tellapart curate` alone.

    Args:
        resume: go on where a killed fine-tuning stopped.
        world: the processes that torchrun started, of which this is the first; None for this one alone.
        began: since when the budget is spent, by `time.monotonic`; None for from now on.

    Raises:
        UsageError: options that contradict one another.
        DataError: the data set cannot be trained on.
        MissingError: no weights to be had.
    """
    began = time.monotonic() if began is None else began
    check_name(name)
    check(options)
    check_weights_file(options.weights)
    curate(dataset, options.seed, report)
    there = trained_already(dataset, name, options)
    if there is not None:
        report(Progress("train", note=f"{there.tag} is already trained on these pictures", finished=True))
        return there
    _say_loading(report)
    _tell_suspects(dataset, options, settings, report)
    from tellapart.network import pick_device
    from training.candidates import forget_checkpoint, may_fine_tune
    from training.train import train as train_classifier

    circumstances = Circumstances(settings.home / "runs" / name, name, resume, world, began)
    with new_model(name) as (folder, version):
        train_classifier(dataset, options, folder, report, circumstances)
    if may_fine_tune(options, pick_device(options.device)):
        forget_checkpoint(dataset)
    return promote(f"{name}:{version}")


def trained_already(dataset: Dataset, name: str, options: TrainingOptions) -> StoredModel | None:
    """The version that was trained in the same way on the same curated data; needs no torch."""
    from training.fingerprint import fingerprint

    wanted = fingerprint(dataset, options)
    return next((m for m in list_models(name) if m.info.training.get("fingerprint") == wanted), None)


def evaluate(tag: str, folder: Path, settings: Settings, report: Report) -> dict[str, Any]:
    """Measure a classifier on a folder of class folders; see `training.evaluate`.

    Raises:
        MissingError: there is no such classifier or folder.
        DataError: the folder has none of its classes.
    """
    model = resolve(tag)
    folders = find_class_folders(folder, model.info.classes)  # before torch takes its seconds
    from tellapart.classifier import Loader
    from training.evaluate import evaluate as evaluate_classifier
    from training.export_data import learned_pictures

    classifier = Loader().load(model.path)
    learned = learned_pictures(classifier.info, settings)
    return evaluate_classifier(classifier, folders, settings.cache, report, learned)


def predict(tag: str, paths: Sequence[Path], report: Report) -> Iterator[PredictionRow]:
    """Classify files, folders and zip archives, one row a picture as each is ready.

    Raises:
        MissingError: there is no such classifier.
        NoDataError: nothing of what was named is there.
    """
    model = resolve(tag)
    if not any(os.path.lexists(path) for path in paths):
        raise NoDataError(f"there is no file or folder {', '.join(map(str, paths))[:200]}", "Check the path")
    from tellapart.classifier import Loader
    from training.predict import predict as predict_paths

    return predict_paths(Loader().load(model.path), model.tag, paths, report)


def export(tag: str, kind: str, out: Path, settings: Settings, report: Report) -> "Exported":
    """Write a classifier as files for other programs; see `training.export`.

    Raises:
        MissingError: there is no such classifier, or its data set is asked for and is not here.
        DataError: `out` holds the files of another export.
    """
    from tellapart.learned import trained_on

    model = resolve(tag)
    dataset = trained_on(model.info, settings)
    check_exportable(model, kind, dataset)  # before torch takes its seconds
    from training.export import export as export_classifier

    return export_classifier(model, kind, out.expanduser().absolute(), dataset, report)


def dataset_root(where: str, settings: Settings) -> Path:
    """The folder that DATASET names on the command line: a path, or a name among the known data sets.

    Raises:
        UsageError: the path is a folder of something else; nothing is ever written into one.
    """
    path = Path(where)
    if path.name == where and not (path / "dataset.json").exists():
        return settings.datasets / check_name(where, "data set")
    if path.is_dir() and any(path.iterdir()) and not (path / "dataset.json").exists():
        raise UsageError(
            f"{path} is a folder with other files, not a data set",
            f"Choose another place; to take its pictures in, add --source folder:{path}",
        )
    return path.absolute()


def _refuse_other_classes(root: Path, plan: Plan) -> None:
    """Refuse to make another classifier out of a data set whose pictures are of other classes."""
    if not (root / "dataset.json").exists():
        return
    wanted = {c.slug for c in plan.classes}
    others = [c.name for c in _with_pictures(Dataset.open(root)) if c.slug not in wanted]
    if others:
        raise UsageError(
            f"the data set {plan.name} exists with other classes ({', '.join(others)})", "Choose another name"
        )


def _forget_empty_classes(root: Path, asked: Sequence[ClassName]) -> None:
    """Let classes go that never got a picture and are not asked for any more, such as a misspelt one."""
    if not (root / "dataset.json").exists():
        return
    with Dataset.open(root).deciding():
        dataset = Dataset.open(root)
        stay = {c.slug for c in (*asked, *_with_pictures(dataset))}
        left = tuple(c for c in dataset.classes if c.slug in stay)
        if left != dataset.classes:
            replace(dataset, classes=left).save()


def _with_pictures(dataset: Dataset) -> list[ClassName]:
    return [c for c in dataset.classes if dataset.manifest.kept(c.slug)]
