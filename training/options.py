"""How to train: everything that decides the result beside the data set. Needs no torch."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tellapart.errors import UsageError

if TYPE_CHECKING:
    from training.distributed import World


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", Mode(self.mode))  # as it is typed

    def to_json(self) -> dict[str, Any]:
        """The form kept in model.json."""
        return asdict(self)


@dataclass(frozen=True)
class Circumstances:
    """What a training goes on under; none of it decides the result.

    Attributes:
        runs: folder of the logs of this classifier's trainings; None for no log.
        name: of the classifier, in the logs.
        resume: go on where a killed fine-tuning stopped.
        world: the processes that torchrun started; None for this one alone.
        began: since when the budget is spent, by `time.monotonic`; None for from when training begins.
    """

    runs: Path | None = None
    name: str = ""
    resume: bool = True
    world: "World | None" = None
    began: float | None = None


ALONE = Circumstances()


def check(options: TrainingOptions) -> None:
    """Refuse options that contradict one another.

    Raises:
        UsageError: fine-tuning's settings without fine-tuning.
    """
    given = asked(options)
    if options.mode is Mode.HEAD and given:
        raise UsageError(f"{given[0]} with --mode head, where nothing is fine-tuned", "Take one of them away")


def asked(options: TrainingOptions) -> list[str]:
    """The options given that only fine-tuning heeds."""
    return [name for name, value in {"--tune": options.tune, "--epochs": options.epochs}.items() if value]
