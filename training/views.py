"""Which part of a picture the network looks at, and how finely: chosen by the pictures that learn. Needs torch.

The centre at the resolution of ImageNet's training, or the whole picture at a higher one, which costs half as
much again and tells most things apart better. On 600 photographs of clothing the out-of-fold accuracy of a head on
EfficientNet-Lite0 was 0.793 on the centre at 224 pixels, 0.823 on the whole picture at 288 and 0.833 at 320; the
centre at 224 and the whole, stretched, at 320 side by side gave 0.837 at twice the cost of the whole at 288.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tellapart.dataset import Role, Sample, judging_split
from tellapart.preprocess import Preprocessing
from tellapart.progress import Report
from tellapart.weights import Weights
from training.features import Features, FeatureSource, extract
from training.protocol import choose_view

FEW = 1000  # pictures up to which every view of all is computed, and folds choose with everything else
SAMPLE = 600  # learning pictures that choose the view of more


def preprocessings(weights: Weights, fine_tuning: bool) -> tuple[Preprocessing, ...]:
    """What there is to choose from: the usual alone for random weights, and where the network itself may learn."""
    if fine_tuning or weights.origin == "none":
        return (weights.backbone.preprocessing,)
    return weights.backbone.preprocessings


def extract_views(
    samples: Sequence[Sample],
    source: FeatureSource,
    preprocessings: Sequence[Preprocessing],
    cache: Path,
    seed: int,
    report: Report,
) -> tuple[list[FeatureSource], Features]:
    """Features of the samples in every view that is still to choose from, and the source of each view.

    Few pictures are seen in all views, so that each fold of a cross-validation can choose by itself. Of
    more, a sample of those that learn chooses, and the rest is seen in that view alone. Numbers of pictures
    decide this and no clock, so that a training repeats exactly.

    Raises:
        TellapartError: the cache cannot be written.
    """
    sources = [source.seeing(p) for p in preprocessings]
    judge = judging_split(s.split for s in samples)
    if len(sources) > 1 and len(samples) > FEW and judge is not None:
        learning = [s for s in samples if s.split != judge and s.role in (Role.LEARN, Role.BOTH)]
        sources = [_best(sources, _sample(learning, seed), cache, seed, report)]
    return sources, _see(samples, sources, cache, report, "features")


def _best(
    sources: Sequence[FeatureSource], samples: Sequence[Sample], cache: Path, seed: int, report: Report
) -> FeatureSource:
    if not samples:
        return sources[0]
    features = _see(samples, sources, cache, report, "sample")
    return sources[choose_view(features, int(features.targets.max(initial=0)) + 1, seed).view]


def _see(
    samples: Sequence[Sample], sources: Sequence[FeatureSource], cache: Path, report: Report, name: str
) -> Features:
    names = [name, *(f"{name}, view {number}" for number in range(2, len(sources) + 1))]
    return _together([extract(samples, s, cache, report, n) for s, n in zip(sources, names, strict=True)])


def _sample(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Up to SAMPLE of them, classes in turn, each class in an order drawn by chance."""
    shuffled = [samples[i] for i in np.random.default_rng(seed).permutation(len(samples))]
    seen: dict[int, int] = {}
    rounds = []
    for sample in shuffled:
        seen[sample.class_index] = seen.get(sample.class_index, 0) + 1
        rounds.append(seen[sample.class_index])
    order = np.argsort(rounds, kind="stable")[:SAMPLE]
    return [shuffled[i] for i in order]


def _together(features: Sequence[Features]) -> Features:
    """Features of the same samples in several views as one; a picture must be readable in all of them."""
    first, *rest = features
    digests = set.intersection(*({s.sha256 for s in f.samples} for f in features))
    parts = [f.part(np.array([s.sha256 in digests for s in f.samples], dtype=np.bool_)) for f in features]
    skipped = max((f.skipped for f in features), key=len)
    return replace(
        parts[0], skipped=skipped, computed=first.computed + sum(f.computed for f in rest),
        others=tuple(p.values for p in parts[1:]),
    )  # fmt: skip
