"""The command line `tellapart`: it parses, calls, and prints; the work is in the rooms. One module a group of commands.

Modules import what they need for parsing only; rooms and heavy libraries are imported in the commands themselves, so
that `tellapart --help` comes at once.

Exit codes: 0 done, 1 a failure of ours or of this machine, 2 wrong usage, 3 bad input or data set,
4 a source refused or is unreachable, 5 weights or a model not found.
"""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; an error is one line on stderr."""
    try:
        from cli.commands import run  # takes a moment, in which Ctrl-C may come already

        return run(arguments)
    except KeyboardInterrupt:
        print("stopped (exit code 130)", file=sys.stderr)
        return 130
