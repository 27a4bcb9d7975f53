"""What a person sees of work: bars while it goes on, whole lines when it is done."""

import io
import re

from rich.console import Console

from tellapart.progress import Progress
from tellapart.terminal import Terminal

NOTE = "23 pictures may be wrong, none of them almost certainly; to see them: tellapart curate demo, " * 2


def shown(terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=60, highlight=False)
    with Terminal(console) as told:
        told.report(Progress("features", done=1, total=4, unit="pictures"))
        told.report(Progress("features", done=4, total=4, unit="pictures", seconds=2, finished=True))
        told.report(Progress("check", note=NOTE.strip(), finished=True))
        told.report(Progress("read", done=1, seconds=0.1, counts={"kept": 1, "failed": 0}, note="slow", finished=True))
        told.report(Progress("report", done=1, total=1, unit="pages", seconds=3.2, finished=True))
        told.report(Progress("quality", total=0, counts={"skipped": 0}, finished=True))
    return file.getvalue()


def test_a_line_of_a_stage_that_is_done_is_whole_on_a_narrow_screen_too() -> None:
    for terminal in (True, False):
        lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "\n", shown(terminal)).splitlines()
        assert "features: 4 pictures in 2.0 s; 2/s" in lines
        assert f"check: {NOTE.strip()}" in lines
        assert "read: 1 picture in 0.1 s; 1 kept; slow" in lines
        assert "report: 1 page in 3.2 s" in lines
        assert not any(line.startswith("quality") for line in lines)


def test_where_nobody_watches_there_are_no_bars() -> None:
    assert len(shown(terminal=False).splitlines()) == 4
    assert "\x1b" not in shown(terminal=False)
    assert "0/4" in shown(terminal=True)


def test_what_is_measured_on_the_way_is_a_line_where_nobody_watches() -> None:
    for terminal in (True, False):
        file = io.StringIO()
        with Terminal(Console(file=file, force_terminal=terminal, width=60, highlight=False)) as told:
            told.report(Progress("fine-tune", done=20, total=40, seconds=10, note="epoch 1: loss 0.5"))
            told.report(Progress("fine-tune", 20, 40, seconds=10, note="epoch 1: loss 0.5", values={"train_loss": 0.5}))
        line = "fine-tune: 20 pictures in 10.0 s; 2/s; epoch 1: loss 0.5\n"
        assert (file.getvalue() == line) != terminal
