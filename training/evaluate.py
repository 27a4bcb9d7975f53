"""Measuring a classifier on a folder of class folders it has not seen. Needs torch."""

from collections.abc import Set
from pathlib import Path
from typing import Any

from tellapart.classifier import Classifier
from tellapart.dataset import Sample
from tellapart.errors import DataError
from tellapart.images import DEFAULT_LIMITS, sha256
from tellapart.progress import Progress, Report, Stage
from training.class_folders import ClassFolders
from training.features import FeatureSource, count_skipped, extract
from training.metrics import summarize


def evaluate(
    classifier: Classifier, folders: ClassFolders, cache: Path, report: Report, learned: Set[str] = frozenset()
) -> dict[str, Any]:
    """Accuracy and the rest on the folders of its classes.

    Every readable file counts once, copies too. Folders of other names are left out, and said.

    Args:
        cache: folder of derived data; features are kept there, under "features".
        learned: sha256 of the pictures the classifier learned from, as far as they are known.

    Returns:
        n, accuracy, balanced_accuracy, ece, per_class, confusion (see `metrics.summarize`) and
        skipped, the number of files that could not be used as pictures; learned_from, how many
        of the n it learned from, which flatters the rest; left_out, the folders that are of no class
        of it, each with the number of its files.

    Raises:
        DataError: they have no readable picture.
    """
    files = folders.files()
    samples = []
    with Stage(report, "read pictures", total=len(files), unit="files") as stage:
        for path, class_index in files:
            sample = _sample(path, class_index)
            samples += [sample] if sample else []
            stage.advance(skipped=int(sample is None))
    features = extract(samples, FeatureSource.of_classifier(classifier), cache / "features", report)
    if features.skipped:
        why = "; ".join(f"{count} because {why}" for why, count in count_skipped(features.skipped).items())
        report(Progress("skipped", note=why, finished=True))
    if not features.samples:
        raise DataError(f"{folders.root} has no readable picture in its class folders", "Check the files")
    probabilities = classifier.bundle.head.probabilities(features.values)
    result = summarize(features.targets, probabilities, [c.name for c in classifier.info.classes])
    seen = sum(s.sha256 in learned for s in features.samples)
    skipped = len(files) - len(features.samples)
    return result | {"skipped": skipped, "learned_from": seen, "left_out": dict(folders.left_out)}


def _sample(path: Path, class_index: int) -> Sample | None:
    """The file as a sample, None where it cannot be read or is too large to be a picture we take."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(DEFAULT_LIMITS.max_bytes + 1)
    except OSError:
        return None
    if len(data) > DEFAULT_LIMITS.max_bytes:
        return None
    return Sample(path, class_index, sha256(data), "test", "")
