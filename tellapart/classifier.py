"""A loaded classifier: bytes in, calibrated probabilities out. Needs torch.

The command line, evaluation and the Runner of the service all answer through this one.
"""

from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from tellapart.bundle import Bundle, BundleInfo, open_bundle
from tellapart.errors import BundleError
from tellapart.network import FeatureExtractor, load_module


@dataclass(frozen=True)
class Classifier:
    """A bundle with its backbone in memory; several may share one extractor."""

    bundle: Bundle
    extractor: FeatureExtractor

    @property
    def info(self) -> BundleInfo:
        """What model.json says."""
        return self.bundle.info

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities (N, C) of preprocessed pictures (N, H, W, 3) uint8 in [0, 255]."""
        return self.answers(pixels)[0]

    def answers(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """`probabilities` (N, C), and which pictures (N,) show none of the classes."""
        return self.judge(self.extractor(pixels))

    def judge(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """As `answers`, of features (N, D) that this classifier's backbone computed."""
        head = self.bundle.head
        probabilities = head.probabilities(features)
        return probabilities, head.none_of_these(features, probabilities)


class Loader:
    """Loads classifiers and keeps one backbone in memory for all whose weights are the same, while one is in use.

    `device` and `dtype` are those of `FeatureExtractor`.
    """

    def __init__(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> None:
        self._device, self._dtype = device, dtype
        self._extractors: WeakValueDictionary[tuple[str, str, str, bool], FeatureExtractor] = WeakValueDictionary()

    def load(self, folder: Path, dtype: torch.dtype | None = None) -> Classifier:
        """Load the bundle in a folder; `dtype` where it is not to be the loader's.

        Raises:
            BundleError: what was expected and what was found.
        """
        bundle = open_bundle(folder, known={sha256 for sha256, *_ in self._extractors})
        dtype, how = dtype or self._dtype, bundle.info.preprocessing
        colours = str((how.mean, how.std))  # any size of picture fits
        key = (bundle.info.backbone_sha256, colours, str(dtype), bundle.is_earlier)
        extractor = self._extractors.get(key)
        if extractor is None:
            extractor = self._extractors[key] = self._extractor(bundle, dtype)
        return Classifier(bundle, extractor)

    def _extractor(self, bundle: Bundle, dtype: torch.dtype | None) -> FeatureExtractor:
        try:
            module = load_module(bundle.backbone, load_file(bundle.backbone_file), not bundle.is_earlier)
        except (RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise BundleError(
                f"{bundle.backbone_file} does not fit {bundle.info.backbone}: {reason}", "Train it again"
            ) from error
        return FeatureExtractor(module, bundle.info.preprocessing, self._device, dtype)
