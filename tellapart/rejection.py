"""The rule for "none of these": how sure the head is, how near the picture is to what it learned from, and how
unlike the strangers it was shown."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_LEAST_DOUBT = 1e-6  # log odds of a rounded probability of 1 would be infinite


@dataclass(frozen=True)
class Rejection:
    """A picture whose score is below the threshold shows none of the classes.

    score = sure * log odds of the top probability + near * nearness + alike * likeness + known * familiarity

    Nearness and likeness are the cosine to the nearest class's mean direction. Nearness is that of standardised
    features: it tells classes of one kind apart. Likeness is that of features as they are: it tells
    the kind itself from everything else, which standardising takes out. Familiarity is the log odds of all classes
    together against the strangers that were given, by a head that learned those as one more class.

    The score says how much a picture looks like any of the classes, which is not the same as which of them it
    is: one that lies between two classes is answered with 30 %, and one unlike all of them is turned away at 80 %.

    Attributes:
        centre: (D,) float32, subtracted from features.
        scale: (D,) float32, above 0; features are divided by it.
        means: (C, D) float32, the class's mean direction among standardised features, length 1.
        raw_means: (C, D) float32, the same among features as they are.
        sure, near, alike, known: weights, 0 or above.
        threshold: set on pictures the head had not learned from.
        versus_weight, versus_bias: (C + 1, D) and (C + 1,) float32, the head whose last class is the given
            strangers; None where none were given.
    """

    centre: Floats
    scale: Floats
    means: Floats
    raw_means: Floats
    sure: float
    near: float
    alike: float
    threshold: float
    known: float = 0.0
    versus_weight: Floats | None = None
    versus_bias: Floats | None = None

    def none_of_these(self, features: Floats, probabilities: Floats) -> NDArray[np.bool_]:
        """Which of the pictures (N,) show none of the classes; features (N, D), probabilities (N, C)."""
        return self.scores(self.columns(features, probabilities)) < self.threshold

    def columns(self, features: Floats, probabilities: Floats) -> NDArray[np.float64]:
        """What the rule looks at (N, 4): log odds of the top probability, nearness, likeness, familiarity."""
        near = (unit((features - self.centre) / self.scale) @ self.means.T).max(axis=1)
        alike = (unit(features) @ self.raw_means.T).max(axis=1)
        return np.stack([log_odds(probabilities), near, alike, self._familiarity(features)], axis=1)

    def scores(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) of `columns` (N, 4)."""
        result: NDArray[np.float64] = columns @ np.array([self.sure, self.near, self.alike, self.known])
        return result

    def _familiarity(self, features: Floats) -> NDArray[np.float64]:
        """(N,); 0 where no strangers were given."""
        if self.versus_weight is None or self.versus_bias is None:
            return np.zeros(len(features))
        logits = (features @ self.versus_weight.T + self.versus_bias).astype(np.float64)
        result: NDArray[np.float64] = np.logaddexp.reduce(logits[:, :-1], axis=1) - logits[:, -1]
        return result


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
