"""Making confidence mean what it says: one temperature for all logits (Guo et al. 2017)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

_RANGE = (np.log(0.05), np.log(20.0))


def negative_log_likelihood(logits: NDArray[np.floating[Any]], targets: NDArray[np.int64], temperature: float) -> float:
    """Mean over N of -log softmax(logits / temperature) at the target; logits (N, C), targets (N,)."""
    scaled = logits / temperature
    return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(targets)), targets]))


def fit_temperature(logits: NDArray[np.floating[Any]], targets: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood, 1 where there is nothing to go by.

    The logits must come from pictures their head was not fitted on. A pull towards 1 that weighs
    less than one picture keeps a handful of easy pictures from promising certainty.
    """
    if not len(targets):
        return 1.0
    wide = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        likelihood = negative_log_likelihood(wide, targets, float(np.exp(log_temperature)))
        return likelihood + 0.5 * log_temperature**2 / len(targets)

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded", options={"xatol": 1e-4}).x))
