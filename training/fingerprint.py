"""Whether a training would give a classifier that is there already. Needs no torch."""

import hashlib
import json
from pathlib import Path

from tellapart import __version__
from tellapart.backbones import BACKBONES, DEFAULT_BACKBONE, cached_weights_file
from tellapart.bundle import FORMAT
from tellapart.dataset import Dataset
from tellapart.hardware import visible_gpus
from training.options import TrainingOptions

RECIPE = 10  # raised when the same data and options would give another classifier


def fingerprint(dataset: Dataset, options: TrainingOptions) -> str:
    """Identity of everything that decides the classifier: where it is the same, training again is needless."""
    given = Path(options.weights)
    file = hashlib.sha256(given.read_bytes()).hexdigest() if given.is_file() else ""
    found = [file, _preferred(options), _has_gpu(options)]
    parts = [dataset.digest(), options.to_json(), *found, FORMAT, RECIPE, __version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _has_gpu(options: TrainingOptions) -> bool:
    """Whether `auto` finds a GPU, where more may learn and numbers have another form."""
    return options.device == "auto" and bool(visible_gpus())


def _preferred(options: TrainingOptions) -> bool:
    """Whether the weights that `auto` likes best are here; without them it takes others."""
    if (options.backbone, options.weights) != ("auto", "auto"):
        return False
    return cached_weights_file(BACKBONES[DEFAULT_BACKBONE]).is_file()
