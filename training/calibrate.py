"""Making confidence mean what it says: one temperature for all logits (Guo et al. 2017), and classes of any size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp

_RANGE = (np.log(0.05), np.log(20.0))  # of log temperatures


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


def fit_adjustment(
    logits: NDArray[np.floating[Any]], targets: NDArray[np.int64], shares: NDArray[np.float64]
) -> tuple[float, float]:
    """Temperature and adjustment for classes of unequal size, with the least negative log-likelihood.

    A penalised head learns less of how classes look than there is to see, but all of how frequent they are: small
    classes are answered too seldom. So a part of the logarithm of each class's share is taken off its logit (Menon
    et al. 2021, "Long-tail learning via logit adjustment"), which is `logits - adjustment * log(shares)` before the
    temperature. At most the whole of it is; equal classes need none. The pulls are as in `fit_temperature`.

    Args:
        logits: (N, C), from pictures their head was not fitted on.
        shares: (C,) of each class among the pictures that learn, above 0.
    """
    temperature = fit_temperature(logits, targets)
    if not len(targets) or np.ptp(shares) == 0:
        return temperature, 0.0
    wide, log_shares = logits.astype(np.float64), np.log(shares)

    def loss(point: NDArray[np.float64]) -> float:
        scaled = wide / np.exp(point[0]) - point[1] * log_shares
        return negative_log_likelihood(scaled, targets, 1.0) + 0.5 * float(point @ point) / len(targets)

    found = minimize(loss, (np.log(temperature), 0.0), method="L-BFGS-B", bounds=(_RANGE, (0.0, 1.0))).x
    temperature = float(np.exp(found[0]))
    return temperature, temperature * float(found[1])
