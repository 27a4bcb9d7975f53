"""How well features tell classes apart, found without fitting a head. Plain numpy and SciPy.

Ridge regression on the classes has its leave-one-out answers in closed form (Allen 1974, "The relationship between
variable selection and data augmentation and a method for prediction"): all of them at every penalty for one
decomposition. It ranks views of pictures as heads do, in a tenth of the time.
"""

import numpy as np
from scipy.linalg import eigh

from tellapart.logistic import standardise
from training.calibrate import fit_temperature, negative_log_likelihood
from training.head import Floats, Targets, one_thread

_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # times a picture's mean squared length
_SCALE = 10.0  # of answers between 0 and 1, so that temperatures are found in their usual range


def leave_one_out_loss(features: Floats, targets: Targets) -> float:
    """Mean negative log-likelihood of each picture's class by a ridge regression on all others, over the penalties.

    The mean of them differs from draw to draw by three quarters of what the least of them does.

    Args:
        features: (N, D) of N pictures of which no two are near-copies, with class indices (N,).
    """
    with one_thread():
        standard = standardise(features)[0]
        values, vectors = eigh((standard @ standard.T).astype(np.float64), check_finite=False)
    values = np.maximum(values, 0.0)
    classes = np.eye(int(targets.max()) + 1)[targets]
    centred = classes - classes.mean(axis=0)
    losses = []
    for penalty in _PENALTIES:
        shrunk = values / (values + penalty * max(1e-9, float(values.mean())))
        own = np.square(vectors) @ shrunk + 1 / len(targets)  # how much each picture's answer is its own class
        residual = centred - vectors @ (shrunk[:, None] * (vectors.T @ centred))
        logits = _SCALE * (centred - residual / np.maximum(1e-9, 1 - own)[:, None])
        losses.append(negative_log_likelihood(logits, targets, fit_temperature(logits, targets)))
    return float(np.mean(losses))
