"""How to train: everything that decides the result beside the data set. Needs no torch."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """What learns: the head alone, or the whole network; `auto` decides by what there is to compute with."""

    AUTO = "auto"
    HEAD = "head"
    FINETUNE = "finetune"


@dataclass(frozen=True)
class TrainingOptions:
    """What the command line's options of `train` say.

    Attributes:
        backbone: "auto" or a name, see `tellapart.backbones`.
        weights: "auto", "none" or a path, see `tellapart.weights`.
        seed: of the folds, of random weights and of augmentation; on a CPU the same one gives the same classifier.
        device: "auto", "cpu" or "cuda".
        mode: what learns.
        budget: seconds that training may take in all; None for as long as it takes.
        epochs: passes of fine-tuning over the pictures at most; None for the usual number.
        tune: trials of a search for fine-tuning's settings; 0 for none.
        optimizer: of fine-tuning, "adamw" or "sgd".
    """

    backbone: str = "auto"
    weights: str = "auto"
    seed: int = 0
    device: str = "auto"
    mode: Mode = Mode.AUTO
    budget: float | None = None
    epochs: int | None = None
    tune: int = 0
    optimizer: str = "adamw"

    def to_json(self) -> dict[str, Any]:
        """The form kept in model.json."""
        return asdict(self)
