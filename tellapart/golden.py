"""A generated picture whose answers are kept in the bundle: a classifier that answers differently is not served.

They are kept for each form of the numbers that a machine may serve it in, as rounding to bfloat16 alone moved a
probability by up to 0.024 (120 heads on EfficientNet-Lite0), and one form differs from machine to machine by far less.
Needs torch.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from tellapart.backbones import Backbone
from tellapart.classifier import Classifier
from tellapart.errors import BundleError
from tellapart.head import Head
from tellapart.network import FeatureExtractor, load_module
from tellapart.preprocess import Preprocessing

MAX_DRIFT = 1e-2  # of a probability


def golden_pixels(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The picture as the network's input, (1, H, W, 3): coloured waves, the same everywhere and always."""
    place = np.arange(preprocessing.crop) / preprocessing.crop
    waves = [np.sin(2 * np.pi * (k * place[:, None] + (3 - k) * place[None, :])) for k in range(3)]
    return np.round(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)[None]


def sample_pixels(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Pictures to compare two forms of a network on, (4, H, W, 3): the golden one, and noise like photographs.

    Amplitudes of photographs fall with the frequency (Field 1987, "Relations between the statistics of natural
    images and the response properties of cortical cells").
    """
    side, rng = preprocessing.crop, np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf  # the mean is set below
    noise = np.fft.rfft2(rng.standard_normal((3, side, side, 3)), axes=(1, 2)) / frequency[None, :, :, None]
    waves = np.fft.irfft2(noise, (side, side), axes=(1, 2))
    photographs = np.clip(127.5 + 50 * waves / waves.std(), 0, 255).astype(np.uint8)
    return np.concatenate([golden_pixels(preprocessing), photographs])


def golden_answers(
    backbone: Backbone, weights: bytes, preprocessing: Preprocessing, head: Head
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What a bundle keeps: `golden_answer` in float32 and in bfloat16, whatever this machine has.

    Args:
        weights: of the backbone, serialized.
    """
    module = load_module(backbone, load(weights))

    def answer(dtype: torch.dtype) -> tuple[float, ...]:
        extractor = FeatureExtractor(module, preprocessing, dtype=dtype, fused=False)  # fused, not all can do bfloat16
        return golden_answer(extractor, preprocessing, head)

    return answer(torch.float32), answer(torch.bfloat16)  # in this order: rounded weights stay so


def golden_answer(extractor: FeatureExtractor, preprocessing: Preprocessing, head: Head) -> tuple[float, ...]:
    """The probabilities (C,) of the golden picture."""
    found = head.probabilities(extractor(golden_pixels(preprocessing)))[0]
    return tuple(round(float(p), 6) for p in found)


def check_golden(classifier: Classifier, features: NDArray[np.float32] | None = None) -> None:
    """Compare what a bundle keeps with what is computed here; one that keeps nothing passes.

    It has to agree with one of the answers that are kept. Bundles written before keep one, in the form of the
    machine that trained them.

    Args:
        features: (1, D) of the golden picture, where another form of the backbone computed them.

    Raises:
        BundleError: a probability differs by more than `MAX_DRIFT`.
    """
    kept = [answer for answer in (classifier.info.golden, classifier.info.golden_bfloat16) if answer is not None]
    if not kept:
        return
    if features is None:
        features = classifier.extractor(golden_pixels(classifier.info.preprocessing))
    found = classifier.bundle.head.probabilities(features)[0]
    drifts = [_drift(answer, found) for answer in kept]
    if not any(drift <= MAX_DRIFT for drift in drifts):
        what = f"its answer for the golden picture is {min(drifts):.3f} off what it was when it was trained"
        raise BundleError(what, "Train it again")


def _drift(expected: tuple[float, ...], found: NDArray[np.float32]) -> float:
    return float(np.abs(np.subtract(expected, found)).max()) if len(expected) == len(found) else 1.0
