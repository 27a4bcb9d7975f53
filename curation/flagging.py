"""Finding the suspects of a data set and writing them into its manifest."""

from collections.abc import Sequence

import numpy as np

from curation.neighbours import Floats
from curation.quality import measure_all
from curation.suspects import Names, find_suspects
from tellapart.actions import kept_by_hand
from tellapart.dataset import Dataset, Sample
from tellapart.flags import Suspect, store_flags
from tellapart.progress import Report, Stage, silent


def flag_suspects(
    dataset: Dataset, samples: Sequence[Sample], features: Floats, seed: int = 0, report: Report = silent
) -> list[Suspect]:
    """Find the suspects among samples and store them as flags; what a person kept is no suspect.

    Args:
        samples: N of the kept ones, with their groups.
        features: (N, D) float32 of the samples.

    Raises:
        TellapartError: the cache or the manifest cannot be written.
    """
    names = Names([s.sha256 for s in samples], [c.slug for c in dataset.classes], [c.name for c in dataset.classes])
    targets = np.array([s.class_index for s in samples], dtype=np.int64)
    groups = np.array([s.group_id for s in samples], dtype=np.str_)
    qualities = measure_all(samples, dataset.cache / "quality.json", report)
    with Stage(report, "suspects", total=len(samples)) as stage:
        found = find_suspects(features, targets, groups, names, qualities, seed)
        right = kept_by_hand(dataset)
        suspects = [s for s in found if (s.class_slug, s.sha256) not in right]
        store_flags(dataset, suspects)
        stage.advance(len(samples), suspects=len(suspects), confident=sum(s.confident for s in suspects))
    return suspects
