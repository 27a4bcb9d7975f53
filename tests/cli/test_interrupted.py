"""Ctrl-C: what is said, and the exit code, also where it comes again."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A command that is interrupted in its work, and again while Python ends.
_COMMAND = """
import atexit, os, signal, sys
import click
from cli import main
from cli.commands import cli
from cli.output import telling

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)

@cli.command()
def work():
    with telling("{form}"):
        atexit.register(interrupt)
        interrupt()

@cli.command()
def ask():
    atexit.register(interrupt)
    interrupt()

@cli.command()
def end():
    atexit.register(interrupt)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["tellapart", "{command}"]
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("command", "form", "said"),
    [
        ("end", "", ""),
        ("work", "bar", "stopped (exit code 130); what was done is kept, and the same command goes on there\n"),
        ("work", "json", "stopped (exit code 130); what was done is kept, and the same command goes on there\n"),
        ("ask", "", "stopped (exit code 130)\n"),
    ],
)
def test_a_signal_says_what_is_kept_and_one_that_comes_as_python_ends_changes_nothing(
    command: str, form: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND.format(command=command, form=form)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr.lstrip("\n")) == (130 if said else 0, said)
    assert done.stdout == ('{"event": "stopped"}\n' if form == "json" else "")


# As where Ctrl-C comes while modules are still being loaded.
_LOADING = """
import os, signal, sys
import cli

class Interrupting:
    def find_spec(self, name, *_):
        if name == "tellapart.names":
            os.kill(os.getpid(), {number})

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["tellapart", "--version"]
sys.exit(cli.main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_very_beginning_is_a_line_too(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADING.format(number=int(number))],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (130, "stopped (exit code 130)\n", "")
