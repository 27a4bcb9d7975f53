"""What computes behind the service: classifiers in memory, and batches that mix them. Needs torch."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tellapart.classifier import Classifier, Loader
from tellapart.errors import BundleError, MissingError, TellapartError
from tellapart.forms import Forms
from tellapart.golden import check_golden
from tellapart.heatmap import activation_maps
from tellapart.messages import Answer, Look
from tellapart.neighbours import Neighbour, Neighbours, read_neighbours
from tellapart.network import FeatureExtractor
from tellapart.wire import ServiceError

_log = logging.getLogger(__name__)
Pixels = NDArray[np.uint8]


@dataclass
class _Entry:
    classifier: Classifier
    neighbours: Neighbours | None = None

    @property
    def nbytes(self) -> int:
        """Memory of all but the backbone, which others may share."""
        return self.classifier.bundle.head.nbytes + (self.neighbours.nbytes if self.neighbours else 0)


class Engine:
    """Answers by bundles, each named by its folder and loaded when first asked for. Safe for threads.

    Classifiers with the same backbone weights and preprocessing share one backbone. The least recently
    used ones make room when heads, neighbours and backbones together take more than `max_bytes`.
    `forms` is told what was loaded and how much was answered.
    """

    def __init__(self, loader: Loader, max_bytes: int, forms: Forms | None = None) -> None:
        self._loader, self._forms = loader, forms
        self._max_bytes = max_bytes
        self.at_once: int | None = None  # pictures through a network at once, where it is not to be the extractor's own
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock, self._loading = threading.Lock(), threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory that what is loaded takes."""
        with self._lock:
            return _total(self._entries.values())

    @property
    def loaded(self) -> list[str]:
        """Folders of what is in memory, least recently used first."""
        with self._lock:
            return list(self._entries)

    def load(self, folder: str) -> Classifier:
        """The classifier of a bundle; a failure is not remembered.

        Raises:
            ServiceError: `unusable_model`, as its files are damaged or gone.
        """
        return self._entry(folder).classifier

    def answer(self, pixels: Pixels, folders: Sequence[str]) -> list[Answer | ServiceError]:
        """The answer for each picture by the classifier it asks for; every backbone runs once.

        Args:
            pixels: preprocessed (N, H, W, 3) uint8, one preprocessing for all.
            folders: N of them.
        """
        answers: list[Answer | ServiceError] = [ServiceError("internal", "not computed")] * len(folders)
        rows_of: dict[str, list[int]] = {}
        for row, folder in enumerate(folders):
            rows_of.setdefault(folder, []).append(row)
        for extractor, group in self._by_backbone(rows_of, answers).items():
            rows = sorted(row for _, mine in group for row in mine)
            features = extractor(pixels if len(rows) == len(pixels) else pixels[rows])
            if self._forms:
                self._forms.answered(group[0][0], len(rows))
            place = {row: at for at, row in enumerate(rows)}
            for classifier, mine in group:
                probabilities, none = classifier.judge(features[[place[row] for row in mine]])
                for row, *answer in zip(mine, probabilities, none.tolist(), strict=True):
                    answers[row] = answer[0], answer[1]
        return answers

    def _by_backbone(
        self, rows_of: Mapping[str, list[int]], answers: list[Answer | ServiceError]
    ) -> dict[FeatureExtractor, list[tuple[Classifier, list[int]]]]:
        """Classifiers with their rows; a row whose classifier cannot be loaded gets its error."""
        groups: dict[FeatureExtractor, list[tuple[Classifier, list[int]]]] = {}
        for folder, rows in rows_of.items():
            try:
                classifier = self.load(folder)
                groups.setdefault(classifier.extractor, []).append((classifier, rows))
            except ServiceError as error:
                for row in rows:
                    answers[row] = error
        return groups

    def look(self, pixels: Pixels, folder: str, class_name: str) -> Look:
        """The answer for one picture (1, H, W, 3), and what speaks for a class, "" for the answer.

        Raises:
            ServiceError: as `load`.
        """
        classifier = self.load(folder)
        probabilities, none = classifier.answers(pixels)
        names = classifier.info.class_names
        asked = names.index(class_name) if class_name else int(probabilities[0].argmax())
        heat = activation_maps(classifier.extractor, classifier.bundle.head, pixels, np.array([asked]))
        return probabilities[0], bool(none[0]), asked, heat[0]

    def nearest(self, pixels: Pixels, folder: str, count: int) -> list[Neighbour]:
        """The pictures that the classifier learned from and that are most like one (1, H, W, 3).

        Raises:
            ServiceError: as `load`; `no_neighbours` where the bundle has none.
        """
        entry = self._entry(folder)
        feature = entry.classifier.extractor(pixels)[0]
        if entry.neighbours is None:
            entry.neighbours = _neighbours(entry.classifier, len(feature))
            self._make_room()
        return entry.neighbours.nearest(feature, count)

    def _entry(self, folder: str) -> _Entry:
        if entry := self._known(folder):
            return entry
        with self._loading:
            if entry := self._known(folder):  # another thread was faster
                return entry
            entry = _Entry(_load(folder, self._loader))
            entry.classifier.extractor.at_once = self.at_once or entry.classifier.extractor.at_once
            if self._forms:
                self._forms.loaded(entry.classifier)
            with self._lock:
                self._entries[folder] = entry
        self._make_room()
        return entry

    def _known(self, folder: str) -> _Entry | None:
        with self._lock:
            if folder in self._entries:
                self._entries.move_to_end(folder)
            return self._entries.get(folder)

    def _make_room(self) -> None:
        with self._lock:
            while len(self._entries) > 1 and _total(self._entries.values()) > self._max_bytes:
                self._entries.popitem(last=False)


def _total(entries: Iterable[_Entry]) -> int:
    entries = list(entries)
    backbones = {id(e.classifier.extractor): e.classifier.extractor for e in entries}
    return sum(e.nbytes for e in entries) + sum(b.nbytes for b in backbones.values())


def _load(folder: str, loader: Loader) -> Classifier:
    try:
        classifier = loader.load(Path(folder))
        try:
            check_golden(classifier)
        except BundleError as error:  # trained elsewhere: this processor's own form may round too much
            _log.warning("%s in %s: %s; trying float32", _tag(folder), classifier.extractor.form, error)
            classifier = loader.load(Path(folder), torch.float32)
            check_golden(classifier)
        return classifier
    except TellapartError as error:
        raise ServiceError("unusable_model", f"{_tag(folder)} cannot be loaded: {error}") from error


def _neighbours(classifier: Classifier, dim: int) -> Neighbours:
    folder = classifier.bundle.path
    try:
        return read_neighbours(folder, dim, len(classifier.info.classes))
    except MissingError as error:
        raise ServiceError("no_neighbours", str(error)) from error
    except TellapartError as error:
        raise ServiceError("unusable_model", str(error)) from error


def _tag(folder: str) -> str:
    """As in the model store, where NAME/VERSION is the folder of NAME:VERSION."""
    return ":".join(Path(folder).parts[-2:])
