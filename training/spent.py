"""What a training has spent of its time, kept in a file: after a kill the next process counts on from there.

Needs no torch.
"""

import json
from contextlib import suppress
from pathlib import Path

from tellapart.errors import TellapartError
from tellapart.files import write_bytes
from tellapart.progress import Progress, Report
from training.schedule import Budget

_EVERY = 1.0  # seconds


def spent_before(file: Path, identity: str) -> float:
    """Seconds that killed processes spent on the training of that identity; 0 where none did."""
    try:
        found = json.loads(file.read_bytes())
        return float(found["seconds"]) if found["identity"] == identity else 0.0
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def noting_time(report: Report, budget: Budget, file: Path, identity: str) -> Report:
    """`report`, which also writes down every second what has been used of the budget."""
    due = 0.0

    def noted(progress: Progress) -> None:
        nonlocal due
        report(progress)
        if budget.used >= due:
            due = budget.used + _EVERY
            facts = {"identity": identity, "seconds": budget.used}
            with suppress(TellapartError):  # what must be written says so by itself
                write_bytes(file, json.dumps(facts).encode(), durable=False)

    return noted
