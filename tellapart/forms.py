"""Moves backbones in memory to their compiled form, where that is as right and faster. Needs torch."""

import logging
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import torch
from numpy.typing import NDArray

from tellapart.classifier import Classifier
from tellapart.compiled import can_compile, load_package, package_path, start_compiling
from tellapart.errors import TellapartError
from tellapart.golden import check_golden, sample_pixels
from tellapart.network import FeatureExtractor
from tellapart.streams import Forward

WORTH_IT = 500  # pictures after which a server is taken to go on answering
_LEAST_COSINE = 0.98  # of the features of one picture; wrong code is far off
_LEAST_GAIN = 1.05
_ROUNDS = 3
_LONGEST_S = 1800.0  # of compiling, which takes a minute of a core

_log = logging.getLogger(__name__)
Features = NDArray[np.float32]


class Forms:
    """Decides when a backbone is compiled.

    Args:
        mode: "on" compiles a backbone when it is loaded, "auto" once it answered `WORTH_IT` pictures, and takes
            what is in the cache at once; "off" never.
        cache: folder of what was compiled.
        cores: processor cores that compute. With more than one nothing is compiled: torch holds Python's lock over a
            compiled pass, so that no two of them run side by side.

    All of it happens in the background, so that no other classifier waits to be loaded.
    """

    def __init__(self, mode: str, cache: Path, cores: int) -> None:
        if mode == "on" and cores > 1:
            _log.warning("not compiled: %d cores compute, and compiled passes would wait for each other", cores)
        self._mode, self._cache = mode if cores == 1 else "off", cache
        # by backbone, then by the side of its pictures; what was let go of is forgotten
        self._counts: WeakKeyDictionary[FeatureExtractor, Counter[int]] = WeakKeyDictionary()
        self._seen: WeakKeyDictionary[FeatureExtractor, set[int]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._under_way: WeakSet[threading.Thread] = WeakSet()  # a thread that ended is forgotten

    def loaded(self, classifier: Classifier) -> None:
        """A classifier was loaded: take the compiled form of its backbone if there is one."""
        if self._mode == "off" or classifier.extractor.device.type != "cpu":
            return
        there = package_path(classifier.info, classifier.extractor.form, self._cache).exists()
        if (there or self._mode == "on") and self._first(classifier):
            self._begin(classifier)

    def wait(self) -> None:
        """Wait for what is under way."""
        with self._lock:
            threads = list(self._under_way)
        for thread in threads:
            thread.join()

    def answered(self, classifier: Classifier, count: int) -> None:
        """A backbone answered some pictures: compile it if it goes on like that."""
        if self._mode != "auto" or classifier.extractor.device.type != "cpu":
            return
        side = classifier.info.preprocessing.crop
        with self._lock:
            counts = self._counts.setdefault(classifier.extractor, Counter())
            counts[side] += count
        if counts[side] >= WORTH_IT and self._first(classifier):
            self._begin(classifier)

    def _begin(self, classifier: Classifier) -> None:
        thread = threading.Thread(target=self._bring, args=(classifier,), daemon=True)
        with self._lock:
            self._under_way.add(thread)
        thread.start()

    def _first(self, classifier: Classifier) -> bool:
        side = classifier.info.preprocessing.crop
        with self._lock:
            seen = self._seen.setdefault(classifier.extractor, set())
            new = side not in seen
            seen.add(side)
            return new

    def _bring(self, classifier: Classifier) -> None:
        """Compile where need be, and change over; whatever fails, what there is goes on."""
        extractor, side = classifier.extractor, classifier.info.preprocessing.crop
        package = package_path(classifier.info, extractor.form, self._cache)
        try:
            if not package.exists():
                _compile(classifier, package)
            forward = load_package(package)
            pixels = sample_pixels(classifier.info.preprocessing)
            before, slow = _timed(extractor, pixels)
            after, fast = _timed(lambda some: _by_parts(forward, some, extractor.at_once), pixels)
            norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
            cosine = float((np.einsum("nd,nd->n", before, after) / norms).min())
            _log.info("compiled %s: %.1f ms a picture, was %.1f; cosine %.4f", package.name, fast, slow, cosine)
            check_golden(classifier, after[:1])
            if cosine >= _LEAST_COSINE and slow >= fast * _LEAST_GAIN:
                extractor.use(side, forward)  # only now: meanwhile it answers requests
        except (OSError, RuntimeError, TellapartError) as error:
            _log.warning("not compiled: %s", str(error).splitlines()[0] if str(error) else type(error).__name__)


def _compile(classifier: Classifier, package: Path) -> None:
    if not can_compile():
        raise TellapartError("there is no C++ compiler")
    started = time.monotonic()
    process = start_compiling(classifier.bundle.path, package, classifier.extractor.form)
    try:
        status = process.wait(_LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    if status:
        raise TellapartError(f"compiling {classifier.bundle.path} ended with status {status}")
    _log.info("compiled in %.0f s", time.monotonic() - started)


def _by_parts(forward: Forward, pixels: NDArray[np.uint8], at_once: int) -> Features:
    """Features (N, D), computed as many at once as the network's own form does."""
    parts = (pixels[at : at + at_once] for at in range(0, len(pixels), at_once))
    return np.concatenate([forward(torch.from_numpy(part)).numpy() for part in parts])


def _timed(extract: Callable[[NDArray[np.uint8]], Features], pixels: NDArray[np.uint8]) -> tuple[Features, float]:
    """Features, and milliseconds of this thread's processor time a picture; the best of some rounds.

    Nobody computes for this thread meanwhile, whose time would not be seen.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        found, best = extract(pixels), float("inf")
        for _ in range(_ROUNDS):
            started = time.thread_time()
            extract(pixels)
            best = min(best, time.thread_time() - started)
    torch.set_num_threads(threads)
    return found, 1000 * best / len(pixels)
