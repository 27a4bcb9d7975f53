"""Pictures that stand in the wrong class, by out-of-fold confident learning.

Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels": a picture
is counted as of another class where its out-of-fold probability of that class reaches what pictures of
that class usually reach. Suspects are ranked by the odds of the other class against the one given.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.neighbours import Floats
from curation.out_of_fold import Targets, Witnesses


@dataclass(frozen=True)
class LabelErrors:
    """What is known against the label of each of N pictures.

    Attributes:
        scores: (N,) in [0, 1]: p(other) / (p(other) + p(given)) with the most probable other class; 0 where
            nothing can be said.
        suggested: (N,) class index of that other class.
        counted: (N,) whether confident learning counts it as of that class.
    """

    scores: Floats
    suggested: Targets
    counted: NDArray[np.bool_]


def find_label_errors(targets: Targets, witnesses: Witnesses) -> LabelErrors:
    """Weigh the given class of every picture against the others."""
    rows = np.arange(len(targets))
    heard = witnesses.heard
    probabilities = np.exp(np.nan_to_num(witnesses.joint, nan=-np.inf))
    given = probabilities[rows, targets]
    usual = np.array([_mean(given[heard & (targets == c)]) for c in range(probabilities.shape[1])])
    others = probabilities.copy()
    others[rows, targets] = -1
    suggested = others.argmax(axis=1)
    other = others[rows, suggested]
    scores = np.where(heard, other / np.maximum(other + given, 1e-12), 0).astype(np.float32)
    return LabelErrors(scores, suggested, heard & (other > given) & (other >= usual[suggested]))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 1.0
