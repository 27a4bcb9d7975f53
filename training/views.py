"""Which part of a picture the network looks at, and how finely: chosen by the pictures that learn. Needs torch.

The centre at the resolution of ImageNet's training, or the whole picture at a higher one, which costs half as
much again and tells most things apart better (docs/training-measured.md has figures).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tellapart.dataset import Role, Sample, judging_split
from tellapart.preprocess import Preprocessing
from tellapart.progress import Report
from tellapart.weights import Weights
from training.features import Features, FeatureSource, extract
from training.protocol import best_view, cut, pick_protocol
from training.protocol_names import Protocol

SAMPLE = 300  # learning pictures that choose the view of more, where a split judges
SAMPLE_OF_CLASS = 12  # of each class at least
_FIRST = 0.4  # of them choose alone, but where the last view is worse
_HARDLY = 1.1  # times the loss of a view that sees less, before few say that it does better


def preprocessings(weights: Weights) -> tuple[Preprocessing, ...]:
    """What there is to choose from, the usual one first; random weights have it alone."""
    return weights.backbone.preprocessings if weights.origin != "none" else (weights.backbone.preprocessing,)


def extract_views(
    samples: Sequence[Sample],
    source: FeatureSource,
    preprocessings: Sequence[Preprocessing],
    cache: Path,
    seed: int,
    report: Report,
) -> tuple[list[FeatureSource], Features]:
    """Features of the samples in every view that is still to choose from, and the source of each view.

    Where cross-validation judges, all pictures are seen in all views, so that each fold can choose by itself.
    Where a split does, a sample of those that learn chooses, and the rest is seen in that view alone. Numbers
    of pictures decide this and no clock, so that a training repeats exactly.

    Raises:
        TellapartError: the cache cannot be written.
    """
    sources = [source.seeing(p) for p in preprocessings]
    judge = judging_split(s.split for s in samples)
    learning = [s for s in samples if s.split != judge and s.role in (Role.LEARN, Role.BOTH)]
    sample = _sample(learning, seed)
    if len(sources) == 1 or judge is None or len(sample) == len(learning):
        return sources, _see(samples, sources, cache, report, "features")
    best = [_best(sources, sample, cache, seed, report)]
    features = _see(samples, best, cache, report, "features")
    if judging_split(s.split for s in features.samples) == judge:
        return best, features
    # none of those that were to judge can be read: of the others, some that chose would judge
    sources, others = extract_views(features.samples, source, preprocessings, cache, seed, report)
    computed = features.computed + others.computed
    return sources, replace(others, skipped=[*features.skipped, *others.skipped], computed=computed)


def see_all(
    samples: Sequence[Sample],
    source: FeatureSource,
    preprocessings: Sequence[Preprocessing],
    cache: Path,
    report: Report,
) -> Features:
    """Features of the samples in every view; see `Features.side_by_side`.

    Raises:
        TellapartError: the cache cannot be written.
    """
    return _see(samples, [source.seeing(p) for p in preprocessings], cache, report, "features")


def settle_view(
    sources: Sequence[FeatureSource], features: Features, seed: int
) -> tuple[Sequence[FeatureSource], Features]:
    """The sources and features that a head may choose from where it will be compared with a fine-tuned network.

    The pictures that the network learns from (`protocol.cut`) choose, so that none has a say that chooses between
    the two or judges. Where cross-validation judges, all views are left, and each fold chooses by itself.
    """
    if pick_protocol(features) is Protocol.CROSS_VALIDATION:
        return sources, features
    view = best_view(cut(features, seed).learn, seed)
    return [sources[view]], features.view(view)


def _best(
    sources: Sequence[FeatureSource], samples: Sequence[Sample], cache: Path, seed: int, report: Report
) -> FeatureSource:
    """The view that a sample chooses: its first part, where that speaks for the last view, else all of it.

    Few pictures make the last view, which sees most, look worse than it is, and hardly ever better.
    """
    some = samples[: round(_FIRST * len(samples))]
    last = len(sources) - 1
    if best_view(_see(some, sources, cache, report, "sample"), seed, _HARDLY) == last:
        return sources[last]
    return sources[best_view(_see(samples, sources, cache, report, "sample"), seed)]


def _see(
    samples: Sequence[Sample], sources: Sequence[FeatureSource], cache: Path, report: Report, name: str
) -> Features:
    names = [name, *(f"{name}, view {number}" for number in range(2, len(sources) + 1))]
    return _together([extract(samples, s, cache, report, n) for s, n in zip(sources, names, strict=True)])


def _sample(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Up to `SAMPLE` of them or `SAMPLE_OF_CLASS` a class, classes in turn, each in an order drawn by chance."""
    shuffled = [samples[i] for i in np.random.default_rng(seed).permutation(len(samples))]
    seen: Counter[int] = Counter()
    rounds = []
    for sample in shuffled:
        seen[sample.class_index] += 1
        rounds.append(seen[sample.class_index])
    order = np.argsort(rounds, kind="stable")[: max(SAMPLE, SAMPLE_OF_CLASS * len(seen))]
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
