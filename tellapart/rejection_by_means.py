"""The rule for "none of these" of bundles written before exemplars were kept: they go on answering as they did."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tellapart.rejection import Floats, familiarity, log_odds, unit, versus_shapes


@dataclass(frozen=True)
class MeansRejection:
    """A picture whose score is below the threshold shows none of the classes.

    score = sure * log odds of the top probability + near * nearness + alike * likeness + known * familiarity

    Nearness and likeness are the cosine to the nearest class's mean direction, among standardised features and
    among features as they are; familiarity is that of `rejection.Rejection`.

    Attributes:
        centre, scale: (D,) float32, subtracted from features, which are then divided by it.
        means, raw_means: (C, D) float32, length 1, among standardised features and features as they are.
        sure, near, alike, known: weights, 0 or above.
        threshold, versus_weight, versus_bias: see `rejection.Rejection`.
    """

    TENSORS: ClassVar = ("centre", "scale", "means", "raw_means")
    NUMBERS: ClassVar = ("sure", "near", "alike", "threshold", "known")

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
        near = (unit((features - self.centre) / self.scale) @ self.means.T).max(axis=1)
        alike = (unit(features) @ self.raw_means.T).max(axis=1)
        known = familiarity(features, self.versus_weight, self.versus_bias)
        score = self.sure * log_odds(probabilities) + self.near * near + self.alike * alike + self.known * known
        result: NDArray[np.bool_] = score < self.threshold
        return result

    def shapes(self, n_classes: int, dim: int) -> dict[str, tuple[int, ...]]:
        """What shape each tensor must have, by name, for C classes and D features."""
        matrix = n_classes, dim
        known = versus_shapes(self.versus_weight, n_classes, dim)
        return {"centre": (dim,), "scale": (dim,), "means": matrix, "raw_means": matrix} | known
