"""Where a fine-tuning stands beside its tensors: its curves, and what a checkpoint says."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """One line of the training curves; epoch 0 is where the training began.

    Attributes:
        train_loss: with label smoothing and augmentation; None at epoch 0.
        val_loss: negative log-likelihood after fitting a temperature.
        val_accuracy: share answered rightly.
        seconds: of the training's time so far, that on features and that of processes that were killed included.
        rate: share of the full learning rate at the end.
    """

    epoch: int
    train_loss: float | None
    val_loss: float
    val_accuracy: float
    seconds: float
    rate: float


@dataclass
class State:
    """Where a training stands beside its tensors; the facts of a checkpoint.

    Attributes:
        best: the epoch with the least validation loss after it; epoch 0 has learned nothing.
        check: seconds that the slowest check of the network on the validation pictures took.
    """

    epoch: int = 0
    step: int = 0
    best: int = 0
    check: float = 0.0
    curves: list[Epoch] = field(default_factory=list)

    @property
    def best_loss(self) -> float:
        """The validation loss of the best epoch."""
        return self.curves[self.best].val_loss

    def to_json(self) -> dict[str, Any]:
        """The form kept in a checkpoint."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "State":
        """Read the form kept in a checkpoint."""
        return State(**value | {"curves": [Epoch(**row) for row in value["curves"]]})
