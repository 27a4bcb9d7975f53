"""Where commands write: people read the standard output and the standard error, programs read JSON."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tellapart.files import write_bytes
from tellapart.json_lines import JsonLines
from tellapart.stopping import stopping_on_sigterm
from tellapart.terminal import Terminal, standard_output

if TYPE_CHECKING:
    from rich.console import RenderableType


def show(*parts: "RenderableType") -> None:
    """Print text, a line each and never cut, or tables on the standard output."""
    out = standard_output()
    for part in parts:
        out.print(part, markup=False, soft_wrap=isinstance(part, str))


def say(text: str) -> None:
    """Print a line on the standard error."""
    print(text, file=sys.stderr, flush=True)


def write(out: str, text: str) -> None:
    """Write a text into a file, or where `out` is "-" on the standard output."""
    path = Path(out).absolute()
    if out == "-":
        sys.stdout.write(text)
    elif path.exists() and not path.is_file():  # a pipe or a device, which must not be replaced
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    else:
        write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(out: str, value: Any) -> None:
    """The same with a value as one JSON document."""
    write(out, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def telling(form: str) -> Generator[Terminal | JsonLines, None, None]:
    """Where work reports how far it is and what came of it; SIGTERM ends it as Ctrl-C does."""
    with stopping_on_sigterm(), JsonLines() if form == "json" else Terminal() as out:
        try:
            yield out
        except KeyboardInterrupt as stop:
            stop.add_note("what was done is kept, and the same command goes on there")
            raise
