"""Whether confidence means what it says: bins, and what chance alone would show. Plain numpy.

N pictures, C classes; targets (N,), probabilities (N, C).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tellapart.intervals import wilson
from training.metrics import ECE_BINS, Floats, Targets, expected_calibration_error

_DRAWS = 200


def calibration_evidence(targets: Targets, before: Floats, after: Floats, seed: int) -> dict[str, Any]:
    """Calibration error before and after temperature, as JSON-able values.

    Keys: n, before and after (expected calibration error, 15 bins), by_chance (its mean were `after`
    perfectly calibrated: few pictures never fill bins evenly), by_chance_high (the 95th percentile of
    that), debiased (of `after`, see `debiased_error`) and bins (those of `after` that hold pictures: low,
    high, n, confidence, accuracy, accuracy_low, accuracy_high).
    """
    mean, high = _by_chance(after, seed)
    return {
        "n": len(targets),
        "before": expected_calibration_error(targets, before),
        "after": expected_calibration_error(targets, after),
        "by_chance": mean,
        "by_chance_high": high,
        "debiased": debiased_error(targets, after),
        "bins": reliability_bins(targets, after),
    }


def debiased_error(targets: Targets, probabilities: Floats, bins: int = ECE_BINS) -> float:
    """Root mean square of confidence minus accuracy over bins of equally many pictures, without what chance adds.

    From each bin's squared gap the variance of its accuracy is taken, acc (1 - acc) / (n - 1), so that
    a perfect confidence gives 0 on average however few pictures there are (Kumar, Liang, Ma 2019, "Verified
    Uncertainty Calibration"); 0 where chance explains more than all of it.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == targets)[np.argsort(confidence, kind="stable")]
    squared = 0.0
    for bold, right in zip(*(np.array_split(v, bins) for v in (np.sort(confidence), correct)), strict=True):
        if len(right) > 1:
            accuracy = float(right.mean())
            chance = accuracy * (1 - accuracy) / (len(right) - 1)
            squared += len(right) * ((float(bold.mean()) - accuracy) ** 2 - chance)
    return math.sqrt(max(0.0, squared / max(1, len(targets))))


def reliability_bins(targets: Targets, probabilities: Floats, bins: int = ECE_BINS) -> list[dict[str, float | int]]:
    """The bins of the top confidence that hold pictures, least confident first."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows: list[dict[str, float | int]] = []
    for i in np.unique(place):
        inside = place == i
        n, right = int(inside.sum()), int(correct[inside].sum())
        low, high = wilson(right, n)
        rows.append(
            {
                "low": float(i) / bins,
                "high": float(i + 1) / bins,
                "n": n,
                "confidence": float(confidence[inside].mean()),
                "accuracy": right / n,
                "accuracy_low": low,
                "accuracy_high": high,
            }
        )
    return rows


def _by_chance(probabilities: Floats, seed: int) -> tuple[float, float]:
    """Mean and 95th percentile of the error of pictures whose classes are drawn from the probabilities."""
    if not len(probabilities):
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    steps = probabilities.astype(np.float64).cumsum(axis=1)
    errors: list[float] = []
    for _ in range(_DRAWS):
        drawn: NDArray[np.int64] = (rng.random((len(steps), 1)) * steps[:, -1:] < steps).argmax(axis=1)
        errors.append(expected_calibration_error(drawn, probabilities))
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def calibration_words(found: Mapping[str, Any]) -> str:
    """What the calibration error says, and how much of it chance explains."""
    after, chance, high = found["after"], found["by_chance"], found["by_chance_high"]
    worse = ", so on these pictures calibration made it worse" if round(after - found["before"], 3) > 0 else ""
    text = (
        f"Its confidence was off by {100 * found['before']:.1f} points on average before calibration, and by "
        f"{100 * after:.1f} after it{worse}. With {found['n']} pictures, perfect confidence would show "
        f"{100 * chance:.1f} by chance, and up to {100 * high:.1f}"
    )
    verdict = "nothing says that its confidence is wrong" if after <= high else "its confidence is less exact than that"
    if found["debiased"] < after - high:  # other bins, and few pictures: the two would contradict each other
        return f"{text}: {verdict}."
    return f"{text}: {verdict}. Without what chance adds it is off by {100 * found['debiased']:.1f} (root mean square)."
