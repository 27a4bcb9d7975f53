"""Answering only when sure: how many pictures remain for a promised accuracy. Plain numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.intervals import wilson
from training.metrics import Floats, Targets

PROMISES = (0.95, 0.98, 0.99)


def selective_table(
    targets: Targets, probabilities: Floats, promises: Sequence[float] = PROMISES
) -> list[dict[str, Any]]:
    """For each promised accuracy the confidence from which to answer, and what then happens.

    The threshold is the lowest with which the answers given are right often enough. What it is worth
    is measured on pictures that did not set it: each half of them by the threshold of the other.

    Returns:
        rows of promise, threshold (None where no confidence keeps the promise), answered and n (counts),
        share, right (a count), accuracy (None where nothing was answered), accuracy_low, accuracy_high
        (Wilson), and proved: the low end of that interval keeps the promise too.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == targets
    return [_row(confidence, correct, promise) for promise in promises]


def threshold_for(confidence: NDArray[np.float64], correct: NDArray[np.bool_], promise: float) -> float | None:
    """The lowest confidence at and above which at least `promise` of the answers are right."""
    order = np.argsort(-confidence, kind="stable")
    accuracy = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    last_of_equal = np.append(confidence[order][1:] < confidence[order][:-1], True)[: len(order)]
    kept = np.flatnonzero((accuracy >= promise) & last_of_equal)
    return float(confidence[order[kept[-1]]]) if len(kept) else None


def _row(confidence: NDArray[np.float64], correct: NDArray[np.bool_], promise: float) -> dict[str, Any]:
    answered = np.zeros(len(correct), dtype=np.bool_)
    order = np.random.default_rng(0).permutation(len(correct))
    for own, other in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        threshold = threshold_for(confidence[other], correct[other], promise)
        answered[own] = threshold is not None and confidence[own] >= threshold
    n, right = int(answered.sum()), int((answered & correct).sum())
    low, high = wilson(right, n)
    return {
        "promise": promise,
        "threshold": threshold_for(confidence, correct, promise),
        "answered": n,
        "n": len(correct),
        "share": n / max(1, len(correct)),
        "right": right,
        "accuracy": right / n if n else None,
        "accuracy_low": low,
        "accuracy_high": high,
        "proved": bool(n) and low >= promise,
    }
