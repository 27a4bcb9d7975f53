"""Measuring a classifier on a folder of class folders it has not seen. Needs torch."""

import os
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from tellapart.classifier import Classifier
from tellapart.dataset import Sample
from tellapart.errors import DataError, MissingError, UsageError
from tellapart.images import DEFAULT_LIMITS, sha256
from tellapart.names import ClassName, parse_class_name
from tellapart.progress import Report, Stage
from training.features import FeatureSource, extract
from training.metrics import summarize


def evaluate(
    classifier: Classifier, folder: Path, cache: Path, report: Report, learned: Set[str] = frozenset()
) -> dict[str, Any]:
    """Accuracy and the rest on FOLDER/<class name or slug>/...

    Every readable file counts once, copies too. Folders of other names are passed over.

    Args:
        cache: folder of derived data; features are kept there, under "features".
        learned: sha256 of the pictures the classifier learned from, as far as they are known.

    Returns:
        n, accuracy, balanced_accuracy, ece, per_class, confusion (see `metrics.summarize`) and
        skipped, the number of files that could not be used as pictures; learned_from, how many
        of the n it learned from, which flatters the rest.

    Raises:
        MissingError: there is no such folder.
        DataError: it has no folder of a class the classifier knows, or no readable picture in one.
    """
    classes = classifier.info.classes
    files = list(_files(_class_folders(folder, classes)))
    samples = []
    with Stage(report, "read pictures", total=len(files), unit="files") as stage:
        for path, class_index in files:
            sample = _sample(path, class_index)
            samples += [sample] if sample else []
            stage.advance(skipped=int(sample is None))
    features = extract(samples, FeatureSource.of_classifier(classifier), cache / "features", report)
    if not features.samples:
        raise DataError(f"{folder} has no readable picture in its class folders", "Check the files")
    probabilities = classifier.bundle.head.probabilities(features.values)
    result = summarize(features.targets, probabilities, [c.name for c in classes])
    seen = sum(s.sha256 in learned for s in features.samples)
    return result | {"skipped": len(files) - len(features.samples), "learned_from": seen}


def _class_folders(folder: Path, classes: tuple[ClassName, ...]) -> Mapping[Path, int]:
    if not folder.is_dir():
        raise MissingError(f"there is no folder {folder}", "Give a folder that holds one folder a class")
    index = {c.slug: i for i, c in enumerate(classes)}
    found = {path: index[slug] for path in sorted(folder.iterdir()) if (slug := _slug(path)) in index and path.is_dir()}
    if not found:
        names = ", ".join(c.name for c in classes[:5])
        raise DataError(
            f"{folder} has no folder named like a class of this classifier", f"Expected folders such as: {names}"
        )
    return found


def _slug(path: Path) -> str:
    try:
        return parse_class_name(path.name).slug
    except UsageError:
        return ""


def _files(class_folders: Mapping[Path, int]) -> Iterator[tuple[Path, int]]:
    """Every visible file below the class folders."""
    for class_folder, class_index in class_folders.items():
        for place, directories, names in os.walk(class_folder):
            directories[:] = sorted(d for d in directories if not d.startswith("."))
            yield from ((Path(place) / name, class_index) for name in sorted(names) if not name.startswith("."))


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
