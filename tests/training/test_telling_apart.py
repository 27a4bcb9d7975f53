"""Leave-one-out answers in closed form are those of leaving each picture out."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import training.telling_apart
from tellapart.logistic import standardise
from training.calibrate import fit_temperature, negative_log_likelihood
from training.telling_apart import leave_one_out_loss


@pytest.mark.parametrize("dim", [5, 60])
def test_equals_leaving_each_picture_out(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(24) % 3
    features = (rng.normal(size=(3, dim))[targets] + rng.normal(size=(24, dim))).astype(np.float32)
    standard = standardise(features)[0].astype(np.float64)
    length, classes = np.square(standard).sum() / 24, np.eye(3)[targets]
    losses = []
    for penalty in (0.5, 4.0):
        logits = np.zeros((24, 3))
        for i in range(24):
            others = np.arange(24) != i
            model = Ridge(alpha=penalty * length).fit(standard[others], classes[others])
            logits[i] = 10 * (model.predict(standard[i : i + 1])[0] - classes.mean(axis=0))
        losses.append(negative_log_likelihood(logits, targets, fit_temperature(logits, targets)))
    monkeypatch.setattr(training.telling_apart, "_PENALTIES", (0.5, 4.0))
    assert leave_one_out_loss(features, targets) == pytest.approx(np.mean(losses), rel=1e-3)


def test_a_feature_that_tells_more_has_the_smaller_loss() -> None:
    rng = np.random.default_rng(1)
    targets = np.arange(90) % 3
    noise, centres = rng.normal(size=(90, 200)), rng.normal(size=(3, 200))[targets]
    losses = [leave_one_out_loss((noise + s * centres).astype(np.float32), targets) for s in (0.0, 0.2, 0.5)]
    assert losses[0] > 0.95 * np.log(3) > losses[1] > losses[2]
