"""Where a classifier looked: class activation maps (Zhou et al. 2016). Needs torch through the extractor.

The backbones average their last feature maps over the picture and the head is linear, so a class's logit is
the mean of a map plus the bias: nothing is approximated.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tellapart.head import Head
from tellapart.network import FeatureExtractor

_RED = np.array([220, 30, 20], dtype=np.float32)
_STRONGEST = 0.7


def activation_maps(
    extractor: FeatureExtractor, head: Head, pixels: NDArray[np.uint8], answers: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What each place of each picture adds to the answer, against the mean of all classes: (N, h, w).

    Args:
        pixels: preprocessed pictures (N, H, W, 3) uint8.
        answers: class indices (N,).
    """
    against_all = head.weight[answers] - head.weight.mean(axis=0)
    result: NDArray[np.float32] = np.einsum("nd,ndhw->nhw", against_all, extractor.feature_maps(pixels))
    return result


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> Image.Image:
    """A picture (H, W, 3) in gray, red where the map (h, w) speaks for the answer."""
    positive = np.maximum(heat, 0) / max(float(heat.max()), 1e-9)
    size = (pixels.shape[1], pixels.shape[0])
    smooth = np.asarray(Image.fromarray(positive.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    strength = _STRONGEST * np.clip(smooth, 0, 1)[:, :, None]
    gray = pixels.mean(axis=2, keepdims=True, dtype=np.float32)
    return Image.fromarray((gray * (1 - strength) + _RED * strength).astype(np.uint8))
