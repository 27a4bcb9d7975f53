"""The backbones there are, and how each wants its pictures. Needs no torch; `network` builds them."""

import os
from dataclasses import dataclass
from pathlib import Path

from tellapart.errors import MissingError, UsageError
from tellapart.preprocess import Preprocessing

_IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


@dataclass(frozen=True)
class Backbone:
    """A feature extractor: picture (N, 3, crop, crop) -> features (N, feature_dim).

    Attributes:
        name: as on the command line and in model.json.
        title: as people write it.
        feature_dim: number of features.
        earlier_dim: the number that bundles of before may have instead; None where there were no others.
        preprocessing: what its ImageNet weights were trained with.
        whole_side: pixels of the square that takes in the whole picture where that tells the classes
            apart better: frozen ImageNet features are at their best above the resolution they were
            trained at (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
        weights_file: file name of its ImageNet weights; the part after the hyphen is the
            beginning of the file's sha256.
    """

    name: str
    title: str
    feature_dim: int
    preprocessing: Preprocessing
    weights_file: str
    whole_side: int = 288
    earlier_dim: int | None = None

    @property
    def preprocessings(self) -> tuple[Preprocessing, ...]:
        """What a head may choose from, the usual one first."""
        return self.preprocessing, self.preprocessing.whole(self.whole_side)


BACKBONES = {
    b.name: b
    for b in (
        Backbone(
            "resnet50",
            "ResNet50",
            2048,
            Preprocessing(232, 224, "bilinear", _IMAGENET_MEAN, _IMAGENET_STD),
            "resnet50-11ad3fa6.pth",
        ),
        Backbone(
            "resnet18",
            "ResNet18",
            512,
            Preprocessing(256, 224, "bilinear", _IMAGENET_MEAN, _IMAGENET_STD),
            "resnet18-f37072fd.pth",
        ),
        Backbone(
            "efficientnet_lite0",
            "EfficientNet-Lite0",
            2240,
            Preprocessing(256, 224, "bicubic", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
            "efficientnet-lite0-57934424.pth",
            earlier_dim=1280,
        ),
    )
}
DEFAULT_BACKBONE = "resnet50"
EMBEDDED_BACKBONE = "efficientnet_lite0"


def find_backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in BACKBONES:
        raise UsageError(f"unknown backbone {name!r}", f"Use one of: {', '.join(BACKBONES)}")
    return BACKBONES[name]


def cached_weights_file(backbone: Backbone) -> Path:
    """Where torch keeps downloaded weights (TORCH_HOME, XDG_CACHE_HOME, ~/.cache), there or not."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints" / backbone.weights_file


def check_weights_file(weights: str) -> None:
    """Refuse a path to weights where there is no file; "auto" and "none" are no paths.

    Raises:
        MissingError: there is none.
    """
    if weights not in ("auto", "none") and not Path(weights).is_file():
        raise MissingError(
            f"there is no weights file {weights}", "Give --weights an existing .pth or .safetensors file"
        )
