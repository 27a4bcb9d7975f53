"""How to train: everything that decides the result beside the data set. Needs no torch."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingOptions:
    """What the command line's options of `train` say.

    Attributes:
        backbone: "auto" or a name, see `tellapart.backbones`.
        weights: "auto", "none" or a path, see `tellapart.weights`.
        seed: of the folds, and of random weights; the same one gives the same classifier.
        device: "auto", "cpu" or "cuda".
    """

    backbone: str = "auto"
    weights: str = "auto"
    seed: int = 0
    device: str = "auto"

    def to_json(self) -> dict[str, Any]:
        """The form kept in model.json."""
        return asdict(self)
