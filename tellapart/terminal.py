"""Progress on a terminal: a line for each stage that is done, and bars for what goes on where somebody watches.

Where nobody does, as in a log file, what was measured on the way has a line too.
"""

import os
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from tellapart.errors import UsageError
from tellapart.progress import Progress
from tellapart.wording import counted

_WIDE = 1000  # characters of a line where there is no screen to fit in


def standard_output() -> Console:
    """Where results are printed; where no screen is, tables are as wide as what stands in them."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDE
    return console


def refuse_without_terminal(what: str, instead: str) -> None:
    """Refuse to ask `what` where nobody can answer; `instead` says what to give.

    Raises:
        UsageError: the standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to ask {what}", instead)


class Terminal:
    """Draws `Progress` values on stderr; use it as a context manager and pass `report` on.

    What `result` was given is printed on stdout at the end of the block.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._shown: tuple[RenderableType, ...] = ()
        self._live = self._console.is_terminal
        self._tasks: dict[str, TaskID] = {}
        self._bars = Bars(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()
        if error is None:
            out = standard_output()
            for part in self._shown:
                out.print(part, markup=False, soft_wrap=isinstance(part, str))

    def report(self, progress: Progress) -> None:
        """Show how far a stage is."""
        if progress.finished:
            if (task := self._tasks.pop(progress.stage, None)) is not None:
                self._bars.remove_task(task)
                self._bars.refresh()
            self._tell(progress)
        elif self._live:
            self._draw(progress)
        elif progress.values:
            self._tell(progress)

    def result(self, values: Mapping[str, Any], *shown: RenderableType) -> None:  # noqa: ARG002
        """Say what came out of the work, for people; `values` are for programs."""
        self._shown = shown

    def _tell(self, progress: Progress) -> None:
        if said := _said(progress):
            self._console.print(f"{progress.stage}: {said}", markup=False, soft_wrap=True)

    def _draw(self, progress: Progress) -> None:
        self._bars.start()  # only now, so that a question asked before stays readable
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=progress.total, detail="")
        task = self._tasks[progress.stage]
        self._bars.update(task, completed=progress.done, total=progress.total, detail=_detail(progress))


def _said(progress: Progress) -> str:
    """What a stage has to say, "" for nothing, as where there was nothing to do."""
    done = ""
    if progress.done:
        units = counted(progress.done, progress.unit.removesuffix("s"), progress.unit)
        done = f"{units} in {progress.seconds:.1f} s"
    return "; ".join(part for part in (done, _detail(progress)) if part)


def _detail(progress: Progress) -> str:
    rate = f"{progress.rate:.0f}/s" if progress.rate >= 1 and progress.seconds > 1 else ""  # a lower one says nothing
    counts = ", ".join(f"{value} {name}" for name, value in progress.counts.items() if value)
    return "; ".join(part for part in (rate, counts, progress.note) if part)
