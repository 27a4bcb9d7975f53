"""Finding the suspects of a data set and writing them into its manifest."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curation.neighbours import Floats
from curation.quality import Quality, measure_all
from curation.suspects import Names, find_suspects
from tellapart.dataset import Dataset, Sample, judging_split
from tellapart.flags import Suspect, in_order, store_flags
from tellapart.progress import Report, Stage, silent


def flag_suspects(
    dataset: Dataset, samples: Sequence[Sample], features: Floats, seed: int = 0, report: Report = silent
) -> list[Suspect]:
    """Find the suspects among samples and store them as flags; what a person kept is no suspect.

    Pictures of the split that judges are weighed beside all, the others among themselves: what judges has no say
    in what is learned from.

    Args:
        samples: N of the kept ones, with their groups.
        features: (N, D) float32 of the samples.

    Raises:
        TellapartError: the cache or the manifest cannot be written.
    """
    qualities = measure_all(samples, dataset.cache / "quality.json", report)
    with Stage(report, "suspects", total=len(samples)) as stage:
        found = _find(dataset, samples, features, qualities, seed)
        suspects = store_flags(dataset, found, [(dataset.classes[s.class_index].slug, s.sha256) for s in samples])
        stage.advance(len(samples), suspects=len(suspects), confident=sum(s.confident for s in suspects))
    return suspects


def _find(
    dataset: Dataset, samples: Sequence[Sample], features: Floats, qualities: Mapping[str, Quality], seed: int
) -> list[Suspect]:
    slugs, titles = [c.slug for c in dataset.classes], [c.name for c in dataset.classes]
    targets = np.array([s.class_index for s in samples], dtype=np.int64)
    groups = np.array([s.group_id for s in samples], dtype=np.str_)
    digests = np.array([s.sha256 for s in samples], dtype=np.str_)
    judging = judging_split(s.split for s in samples)
    judges = np.array([s.split == judging for s in samples], dtype=np.bool_)

    def among(part: NDArray[np.bool_]) -> list[Suspect]:
        names = Names(digests[part].tolist(), slugs, titles)
        return find_suspects(features[part], targets[part], groups[part], names, qualities, seed)

    everywhere = among(np.ones_like(judges))
    if not judges.any():
        return everywhere
    fixed = {(slugs[s.class_index], s.sha256) for s, yes in zip(samples, judges, strict=True) if yes}
    return in_order([*(s for s in everywhere if (s.class_slug, s.sha256) in fixed), *among(~judges)])
