"""Pictures to backbone features, each computed once. Needs torch.

On a processor every worker thread decodes a few pictures and takes them through the network on
one core: small batches stay in the core's cache and no core waits for another. On two cores of an
AVX-512 machine, EfficientNet-Lite0 in bfloat16, this gives 130 to 230 pictures/s where one thread
decoding ahead of a two-core network of batch 32 gives 95 to 117 (`benchmarks/train.py`).
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from tellapart.classifier import Classifier
from tellapart.crashes import CrashGuard
from tellapart.dataset import Sample
from tellapart.errors import DataError
from tellapart.hardware import cpus, keep_freed_memory
from tellapart.images import DEFAULT_LIMITS, sha256
from tellapart.network import CPU_BATCH, FeatureExtractor, digest, serialize
from tellapart.preprocess import Preprocessing
from tellapart.progress import Report, Stage
from tellapart.weights import Weights
from training.feature_cache import FeatureCache

T = TypeVar("T")
R = TypeVar("R")
_BATCH = {"cpu": CPU_BATCH, "cuda": 32}
_MAX_WORKERS = 16
_AHEAD = 3  # batches in flight, a worker


@dataclass(frozen=True)
class FeatureSource:
    """A backbone ready to compute features, and what its numbers depend on.

    Attributes:
        extractor: the forward pass.
        preprocessing: how a picture becomes its input.
        backbone_sha256: digest of the serialized weights.
        dim: D, the number of features.
    """

    extractor: FeatureExtractor
    preprocessing: Preprocessing
    backbone_sha256: str
    dim: int

    @staticmethod
    def of_weights(weights: Weights, device: torch.device) -> tuple["FeatureSource", bytes]:
        """The source for freshly loaded weights, and those weights serialized for the bundle."""
        data = serialize(weights.module)  # before the extractor changes the module's numeric form
        backbone = weights.backbone
        extractor = FeatureExtractor(weights.module, backbone.preprocessing, device)
        return FeatureSource(extractor, backbone.preprocessing, digest(data), backbone.feature_dim), data

    @staticmethod
    def of_classifier(classifier: Classifier) -> "FeatureSource":
        """The source inside a loaded classifier."""
        info = classifier.info
        dim = classifier.bundle.head.weight.shape[1]
        return FeatureSource(classifier.extractor, info.preprocessing, info.backbone_sha256, dim)

    def seeing(self, preprocessing: Preprocessing) -> "FeatureSource":
        """The same backbone on pictures preprocessed in another way, of the same mean and std."""
        return replace(self, preprocessing=preprocessing)

    @property
    def key(self) -> str:
        """Names everything the features depend on beside the picture."""
        how = json.dumps(self.preprocessing.to_json(), sort_keys=True)
        form = f"{self.extractor.device.type}-{self.extractor.form}"
        return f"{self.backbone_sha256[:16]}-{hashlib.sha256(how.encode()).hexdigest()[:8]}-{form}"


@dataclass(frozen=True)
class Skipped:
    """A picture that could not be used any more, with one line that says why."""

    sample: Sample
    why: str


@dataclass(frozen=True)
class Features:
    """Features of the samples that could be read, in the order given.

    Attributes:
        values: (N, D) float32.
        samples: N of them.
        skipped: the rest; no other picture takes their place.
        computed: how many went through the network now; the others were in the cache.
        others: (N, D) each, the same pictures preprocessed in other ways; `values` is view 0, the first of these 1.
    """

    values: NDArray[np.float32]
    samples: list[Sample]
    skipped: list[Skipped] = field(default_factory=list)
    computed: int = 0
    others: tuple[NDArray[np.float32], ...] = ()

    @property
    def views(self) -> tuple[NDArray[np.float32], ...]:
        """(N, D) of each view, the first of which is `values`."""
        return self.values, *self.others

    def view(self, index: int) -> "Features":
        """The same pictures in one view alone."""
        return replace(self, values=self.views[index], others=())

    @property
    def side_by_side(self) -> NDArray[np.float32]:
        """(N, views x D): what all views show of each picture."""
        return np.concatenate(self.views, axis=1)

    @property
    def targets(self) -> NDArray[np.int64]:
        """(N,) class indices."""
        return np.array([s.class_index for s in self.samples], dtype=np.int64)

    @property
    def groups(self) -> NDArray[np.str_]:
        """(N,) group ids."""
        return np.array([s.group_id for s in self.samples], dtype=np.str_)

    def part(self, chosen: NDArray[np.bool_]) -> "Features":
        """The samples where `chosen` (N,) is true."""
        values, *others = (view[chosen] for view in self.views)
        samples = [s for s, yes in zip(self.samples, chosen, strict=True) if yes]
        return Features(values, samples, others=tuple(others))


def extract(
    samples: Sequence[Sample], source: FeatureSource, cache: Path, report: Report, stage_name: str = "features"
) -> Features:
    """Compute the features of samples, or take them from the cache.

    A picture that is gone, damaged, or no longer the one that was collected is skipped and
    counted. A killed run goes on where it stopped, without a picture that crashed it.

    Args:
        cache: folder of the cached features.
        stage_name: what to call it in the progress.

    Raises:
        TellapartError: the cache cannot be written.
    """
    guard = CrashGuard(cache)
    with FeatureCache(cache / f"{source.key}.sqlite", source.dim) as store:
        known = store.get(s.sha256 for s in samples)
        missing = list({s.sha256: s for s in samples if s.sha256 not in known}.values())
        faults: dict[str, str] = {}
        with Stage(report, stage_name, total=len(missing)) as stage:
            stage.counts["cached"] = len(samples) - len(missing)
            for done in in_background(lambda batch: _compute(batch, source, guard), _batches(missing, source)):
                store.put(done.vectors)
                known |= done.vectors
                faults |= done.faults
                stage.advance(len(done.vectors) + len(done.faults), skipped=len(done.faults))
    usable = [s for s in samples if s.sha256 in known]
    values = np.stack([known[s.sha256] for s in usable]) if usable else np.zeros((0, source.dim), np.float32)
    skipped = [Skipped(s, faults[s.sha256]) for s in samples if s.sha256 not in known]
    return Features(values, usable, skipped, len(missing) - len(faults))


def count_skipped(skipped: Iterable[Skipped]) -> dict[str, int]:
    """How many were skipped for each reason."""
    return dict(Counter(s.why for s in skipped))


@dataclass(frozen=True)
class _Done:
    """One batch: vectors and faults by sha256."""

    vectors: dict[str, NDArray[np.float32]]
    faults: dict[str, str]


def _batches(samples: Sequence[Sample], source: FeatureSource) -> Iterator[Sequence[Sample]]:
    size = _BATCH[source.extractor.device.type]
    return (samples[start : start + size] for start in range(0, len(samples), size))


def _compute(batch: Sequence[Sample], source: FeatureSource, guard: CrashGuard) -> _Done:
    pixels: dict[str, NDArray[np.uint8]] = {}
    faults: dict[str, str] = {}
    for sample in batch:
        try:
            data = _read(sample)
            with guard.watching(data):
                pixels[sample.sha256] = source.preprocessing.from_bytes(data)
        except DataError as error:
            faults[sample.sha256] = error.what
        except (OSError, _ChangedError) as error:
            faults[sample.sha256] = getattr(error, "strerror", None) or str(error)
    if not pixels:
        return _Done({}, faults)
    return _Done(dict(zip(pixels, source.extractor(np.stack(list(pixels.values()))), strict=True)), faults)


class _ChangedError(Exception):
    """The file is not the picture that was collected."""


def _read(sample: Sample) -> bytes:
    with sample.path.open("rb") as file:
        data = file.read(DEFAULT_LIMITS.max_bytes + 1)
    if len(data) <= DEFAULT_LIMITS.max_bytes and sha256(data) != sample.sha256:
        raise _ChangedError("the file has changed since it was collected")
    return data


def in_background(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results of `work` in the order of `items`, computed by threads a bounded way ahead."""
    keep_freed_memory()
    workers = min(_MAX_WORKERS, cpus())
    waiting = iter(items)
    with torch_threads(1), ThreadPoolExecutor(workers, "features", torch.set_num_threads, (1,)) as pool:
        ahead: deque[Future[R]] = deque(pool.submit(work, item) for item in islice(waiting, workers * _AHEAD))
        try:
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(work, item) for item in islice(waiting, 1))
                yield result
        finally:
            for future in ahead:
                future.cancel()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads within one operation of torch; one, where the batch is small and cores are busy otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
