"""The one way long work says how far it is.

Work calls a `Report` with `Progress` values; the command line draws a bar from them,
the web page a stage list. A report function must be quick and must not raise.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How far one stage is.

    Attributes:
        stage: short name of the stage, unique in a run: "collect cats", "features".
        done: units finished.
        total: units in all, None where it is not known.
        unit: what is counted, plural: "pictures".
        seconds: time since the stage began.
        counts: named counts beside `done`, such as {"kept": 12, "failed": 3}.
        note: one line for people; "" for none.
        values: what was measured at this point, such as {"loss": 0.31}; those of a stage make its curves.
        finished: True in the last report of the stage.
    """

    stage: str
    done: int = 0
    total: int | None = None
    unit: str = "pictures"
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    finished: bool = False
    values: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The form in which `--progress json` says it; `Progress(**value)` reads it back."""
        return asdict(self)

    @property
    def rate(self) -> float:
        """Units a second so far; 0 before anything is done."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end, None where it cannot be known."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A report function that drops everything."""


class Stage:
    """Counts one stage and reports it; use it as a context manager.

        with Stage(report, "features", total=len(samples)) as stage:
            for batch in batches:
                stage.advance(len(batch))

    The last report has `finished` set; a body that raises sends no such report.
    """

    def __init__(
        self,
        report: Report,
        name: str,
        total: int | None = None,
        unit: str = "pictures",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report, self._clock = report, clock
        self._name, self._unit, self.total = name, unit, total
        self._start = clock()
        self.done = 0
        self.counts: dict[str, int] = {}
        self.text = ""

    def __enter__(self) -> "Stage":
        self._send()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self._send(finished=True)

    def advance(self, units: int = 1, **counts: int) -> None:
        """Add finished units and named counts, then report."""
        self.done += units
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        self._send()

    def note(self, text: str) -> None:
        """Say one line about the stage, then report."""
        self.text = text
        self._send()

    def measure(self, **values: float) -> None:
        """Report what was measured at this point: the next points of the stage's curves."""
        self._send(values=values)

    def _send(self, finished: bool = False, values: Mapping[str, float] | None = None) -> None:
        seconds = self._clock() - self._start
        counts, measured = dict(self.counts), dict(values or {})
        self._report(
            Progress(self._name, self.done, self.total, self._unit, seconds, counts, self.text, finished, measured)
        )
