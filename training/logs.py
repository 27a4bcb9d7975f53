"""Training curves where people look for them: TensorBoard event files, and MLflow where its address is set.

MLflow is no dependency: with MLFLOW_TRACKING_URI set and no mlflow installed, a note says so and training goes on.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from tellapart.files import readable_disk_errors
from tellapart.progress import Progress, Report

MLFLOW = "MLFLOW_TRACKING_URI"


class RunLog:
    """The log of one training; a context manager.

    Args:
        runs: folder of the logs of all trainings of this classifier; None for no log.
        name: of the classifier.
        facts: what the training was asked to do.

    Raises:
        TellapartError: the folder cannot be written.
    """

    def __init__(self, runs: Path | None, name: str, facts: Mapping[str, Any], report: Report) -> None:
        self._report, self._facts, self._name = report, facts, name
        self.folder = runs / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}" if runs else None
        self._writer: SummaryWriter | None = None
        self._mlflow: ModuleType | None = None

    def __enter__(self) -> "RunLog":
        if self.folder is not None:
            with readable_disk_errors(self.folder):
                self._writer = SummaryWriter(str(self.folder))
            self._writer.add_text("options", "  \n".join(f"{k}: {v}" for k, v in self._facts.items()))
            self._say(f"training curves: tensorboard --logdir {self.folder.parent}")
            self._mlflow = self._start_mlflow() if os.environ.get(MLFLOW) else None
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._mlflow is not None:
            self._to_mlflow("end_run", "FAILED" if error else "FINISHED")

    def scalars(self, values: Mapping[str, float | None], step: int) -> None:
        """Write named numbers of one step; those that are None are left out."""
        known = {name: float(value) for name, value in values.items() if value is not None}
        if self._writer is not None:
            for name, value in known.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()
        if self._mlflow is not None:
            self._to_mlflow("log_metrics", known, step=step)

    def _start_mlflow(self) -> ModuleType | None:
        try:
            mlflow = import_module("mlflow")
        except ImportError:
            self._say(
                f"{MLFLOW} is set but mlflow is not installed, so nothing goes there; to get it: pip install mlflow"
            )
            return None
        self._mlflow = mlflow
        self._to_mlflow("set_experiment", self._name)
        self._to_mlflow("start_run")
        self._to_mlflow("log_params", {name: str(value) for name, value in self._facts.items()})
        return self._mlflow

    def _to_mlflow(self, function: str, *arguments: Any, **named: Any) -> None:
        """A tracking server that cannot be reached must not cost a training."""
        try:
            getattr(self._mlflow, function)(*arguments, **named)
        except Exception as error:  # whatever its client raises
            if self._mlflow is not None:
                self._say(f"MLflow cannot be used any more: {' '.join(str(error).split())[:120]}")
            self._mlflow = None

    def _say(self, note: str) -> None:
        self._report(Progress("log", note=note, finished=True))
