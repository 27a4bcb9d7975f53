"""Answering only when sure: thresholds that keep what they promise on pictures they were not set on."""

import numpy as np
import pytest

from training.selective import selective_table, threshold_for


def test_the_threshold_of_a_promise_by_hand() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.6])
    correct = np.array([True, True, False, True, True])
    assert threshold_for(confidence, correct, 1.0) == 0.8
    assert threshold_for(confidence, correct, 0.8) == 0.6
    assert threshold_for(np.array([0.5, 0.5]), np.array([True, False]), 0.9) is None  # equals stand or fall together
    assert threshold_for(np.zeros(0), np.zeros(0, dtype=bool), 0.9) is None


def test_the_selective_table_by_hand() -> None:
    """Half of 400 answers are 0.95 sure and always right, the rest 0.6 sure and right every second time."""
    targets = np.zeros(400, dtype=np.int64)
    probabilities = np.array([[0.95, 0.05]] * 200 + [[0.6, 0.4], [0.4, 0.6]] * 100)
    first, *_, last = selective_table(targets, probabilities)
    assert (last["threshold"], last["answered"], last["n"], last["accuracy"]) == (0.95, 200, 400, 1.0)
    assert (last["share"], last["right"]) == (0.5, 200)
    assert last["accuracy_low"] == pytest.approx(0.9812, abs=1e-4)
    assert first["proved"]
    assert not last["proved"]  # 200 of 200 do not prove 99 %


def test_a_lucky_threshold_is_not_believed() -> None:
    """Confidence means nothing, four of five are right: tried where it was set, a threshold would keep any promise."""
    right = answered = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        top = rng.uniform(0.6, 1, 60)
        row = selective_table((rng.random(60) > 0.8).astype(np.int64), np.stack([top, 1 - top], axis=1), [0.95])[0]
        right, answered = right + row["right"], answered + row["answered"]
    assert answered > 100
    assert right / answered < 0.9
