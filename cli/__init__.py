"""The command line `tellapart`: it parses, calls, and prints; the work is in the rooms. One module a group of commands.

Modules import what they need for parsing only; rooms and heavy libraries are imported in the commands themselves, so
that `tellapart --help` comes at once.

Exit codes: 0 done, 1 a failure of ours or of this machine, 2 wrong usage, 3 bad input or data set,
4 a source refused or is unreachable, 5 weights or a model not found.
"""

import signal
import sys
from typing import NoReturn


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; an error is one line on stderr.

    As a process of its own, where no arguments are given, SIGTERM ends it as Ctrl-C does.
    """
    if arguments is None:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        from cli.commands import run  # takes a moment, in which Ctrl-C may come already

        return run(arguments)
    except KeyboardInterrupt:
        print("stopped (exit code 130)", file=sys.stderr)
        return 130
    finally:
        if arguments is None:  # Python takes seconds to end where torch is loaded, and ends with this code
            for stop in (signal.SIGINT, signal.SIGTERM):
                signal.signal(stop, signal.SIG_IGN)


def _interrupt(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
