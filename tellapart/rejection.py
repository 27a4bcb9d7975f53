"""The rule for "none of these": how sure the head is, how near what it learned from a picture is, and how unlike the
strangers it was shown."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
NEAREST = 5  # exemplars whose distance counts
_LEAST_DOUBT = 1e-6  # log odds of a rounded probability of 1 would be infinite


@dataclass(frozen=True)
class Rejection:
    """A picture shows none of the classes where its score is below `threshold` or its familiarity below `familiar`.

    score = sure * log odds of the top probability + alike * likeness + local * fit

    Likeness is the cosine to the most similar exemplar. Fit is minus the local outlier factor (Breunig et al.
    2000): how far the five nearest exemplars are, by how far those are from their own five, so that a loose
    class may have stragglers where a dense one may not. Familiarity is the log odds of all classes together against the
    strangers that were given, by a head that learned those as one more class. It is no part of the sum: what is like
    those strangers is turned away however usual it looks, and what is unlike everything however little like them.

    The score says how much a picture looks like any of the classes, which is not the same as which of them it
    is: one that lies between two classes is answered with 30 %, and one unlike all of them is turned away at 80 %.

    Attributes:
        exemplars: (E, D) float32, length 1, features of pictures that were learned from.
        spacing: (E,) float32, above 0: the mean of 1 - cosine of each to its nearest others.
        sure, alike, local: weights, 0 or above.
        threshold, familiar: set on pictures the head had not learned from.
        versus_weight, versus_bias: (C + 1, D) and (C + 1,) float32, the head whose last class is the given
            strangers; None where none were given.
    """

    TENSORS: ClassVar = ("exemplars", "spacing")
    NUMBERS: ClassVar = ("sure", "alike", "local", "threshold", "familiar")

    exemplars: Floats
    spacing: Floats
    sure: float
    alike: float
    local: float
    threshold: float
    familiar: float = 0.0
    versus_weight: Floats | None = None
    versus_bias: Floats | None = None

    def none_of_these(self, features: Floats, probabilities: Floats) -> NDArray[np.bool_]:
        """Which of the pictures (N,) show none of the classes; features (N, D), probabilities (N, C)."""
        columns = self.columns(features, probabilities)
        score = columns[:, :3] @ np.array([self.sure, self.alike, self.local])
        result: NDArray[np.bool_] = (score < self.threshold) | (columns[:, 3] < self.familiar)
        return result

    def columns(self, features: Floats, probabilities: Floats) -> NDArray[np.float64]:
        """What the rule looks at (N, 4): log odds of the top probability, likeness, fit, familiarity."""
        cosines = unit(features) @ self.exemplars.T
        nearest = np.argpartition(-cosines, min(NEAREST, len(self.exemplars)) - 1, axis=1)[:, :NEAREST]
        distance = 1 - np.take_along_axis(cosines, nearest, axis=1).mean(axis=1)
        fit = -distance / self.spacing[nearest].mean(axis=1)
        known = familiarity(features, self.versus_weight, self.versus_bias)
        return np.stack([log_odds(probabilities), cosines.max(axis=1), fit, known], axis=1)

    def shapes(self, n_classes: int, dim: int) -> dict[str, tuple[int, ...]]:
        """What shape each tensor must have, by name, for C classes and D features."""
        rows = len(self.exemplars)
        return {"exemplars": (rows, dim), "spacing": (rows,)} | versus_shapes(self.versus_weight, n_classes, dim)


def familiarity(features: Floats, weight: Floats | None, bias: Floats | None) -> NDArray[np.float64]:
    """Log odds (N,) of all classes but the last against the last; 0 where there is no such head."""
    if weight is None or bias is None:
        return np.zeros(len(features))
    logits = (features @ weight.T + bias).astype(np.float64)
    result: NDArray[np.float64] = np.logaddexp.reduce(logits[:, :-1], axis=1) - logits[:, -1]
    return result


def versus_shapes(weight: Floats | None, n_classes: int, dim: int) -> dict[str, tuple[int, ...]]:
    """What shapes the head that learned strangers must have; none where there is none."""
    return {} if weight is None else {"versus_weight": (n_classes + 1, dim), "versus_bias": (n_classes + 1,)}


def log_odds(probabilities: Floats) -> NDArray[np.float64]:
    """log(p / (1 - p)) (N,) of the top probability of each row of (N, C)."""
    top = np.clip(probabilities.max(axis=1).astype(np.float64), _LEAST_DOUBT, 1 - _LEAST_DOUBT)
    result: NDArray[np.float64] = np.log(top / (1 - top))
    return result


def unit(rows: Floats) -> Floats:
    """Rows (N, D) divided by their length; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: Floats = rows / np.maximum(lengths, 1e-12)
    return result
