"""How much the service logs: a line for all it does, or, where BentoML is told to be quiet, only what goes wrong."""

import logging
import os
from collections.abc import Mapping

_OURS = logging.getLogger("tellapart")


def is_quiet(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether BentoML was started with --quiet, or by its variables so; it passes that on to what it starts."""
    if level := environ.get("BENTOML_VERBOSITY"):
        return level.startswith("-")
    return environ.get("BENTOML_QUIET", "").lower() == "true"


def log_as_front() -> None:
    """Let warnings of ours through, which BentoML drops where it is quiet; it has set up all else."""
    _OURS.setLevel(logging.WARNING)


def log_as_runner() -> None:
    """Log to the standard error; where it is not quiet also what was measured, tuned and compiled."""
    logging.basicConfig(format="%(asctime)s [runner] %(message)s")
    _OURS.setLevel(logging.WARNING if is_quiet() else logging.INFO)
