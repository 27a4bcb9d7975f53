"""Who trains again gets another classifier where the recipe has changed: its number says so, and is held here.

Where a test fails here on purpose, raise RECIPE in training/fingerprint.py and write down what it gives now.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tellapart.backbones import BACKBONES
from tellapart.dataset import Sample
from tellapart.progress import silent
from training.features import Features
from training.fingerprint import RECIPE
from training.head import GRID
from training.honesty import gather_evidence
from training.protocol import Outcome, learn_and_judge
from training.trainable import Recipe
from training.views import SAMPLE, SAMPLE_OF_CLASS

CLASSES = ["a", "b", "c", "d"]
HEAD = [
    0.1004,
    0.9331,
    0.9446,
    0.9863,
    0.9728,
    0.8839,
    -6.7271,
    10.9618,
]  # temperature, confidence in five pictures, threshold and a weight of "none of these"
VIEWS = {
    ("efficientnet_lite0", 2240, "crop", 224, "bicubic"),
    ("efficientnet_lite0", 2240, "whole", 288, "hamming"),
    ("resnet18", 512, "crop", 224, "bilinear"),
    ("resnet18", 512, "whole", 288, "bilinear"),
    ("resnet50", 2048, "crop", 224, "bilinear"),
    ("resnet50", 2048, "whole", 288, "bilinear"),
}
TUNING = {
    "epochs": 1,
    "batch_size": 1,
    "optimizer": "adamw",
    "learning_rate": 3e-4,
    "stage_decay": 0.75,
    "weight_decay": 0.02,
    "label_smoothing": 0.1,
    "augmentation": 0.5,
}


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """What is learned of 160 pictures of four classes in two views, and judged on 40."""
    rng = np.random.default_rng(6)
    targets = np.arange(200) % 4
    views = [rng.normal(size=(4, 24))[targets] * signal + rng.normal(size=(200, 24)) for signal in (0.2, 0.35)]
    samples = [
        Sample(Path(str(i)), int(t), f"{i:064x}", "test" if i >= 160 else "train", str(i // 2))
        for i, t in enumerate(targets)
    ]
    features = Features(views[0].astype(np.float32), samples, others=(views[1].astype(np.float32),))
    learned = learn_and_judge(features, CLASSES, 0, silent)
    return gather_evidence(learned, np.zeros((0, 24), np.float32), CLASSES, 0, silent)[0]


def test_the_same_pictures_give_the_head_that_this_recipe_gave(outcome: Outcome) -> None:
    choice, rejection = outcome.choice, outcome.head.rejection
    assert rejection is not None
    found = [choice.temperature, *outcome.probabilities[:5].max(axis=1), rejection.threshold, rejection.local]
    assert (RECIPE, choice.view, choice.c) == (10, 1, 0.003)
    np.testing.assert_allclose(found, HEAD, rtol=0.02)


def test_what_is_fixed_is_what_this_recipe_had() -> None:
    assert (RECIPE, GRID, SAMPLE, SAMPLE_OF_CLASS) == (10, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), 300, 12)
    views = {
        (name, b.feature_dim, p.fit, p.crop, p.interpolation) for name, b in BACKBONES.items() for p in b.preprocessings
    }
    assert views == VIEWS
    assert asdict(Recipe(epochs=1, batch_size=1)) == TUNING
