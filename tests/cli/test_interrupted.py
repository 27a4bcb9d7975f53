"""Ctrl-C: what is said, and the exit code, also where it comes again."""

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

@cli.command()
def work():
    with telling("{form}"):
        atexit.register(interrupt)
        interrupt()

@cli.command()
def ask():
    atexit.register(interrupt)
    interrupt()

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["tellapart", "{command}"]
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("command", "form", "said"),
    [
        ("work", "bar", "stopped (exit code 130); what was done is kept, and the same command goes on there\n"),
        ("work", "json", "stopped (exit code 130); what was done is kept, and the same command goes on there\n"),
        ("ask", "", "stopped (exit code 130)\n"),
    ],
)
def test_ctrl_c_says_what_is_kept_and_a_second_one_changes_nothing(command: str, form: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND.format(command=command, form=form)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr.lstrip("\n")) == (130, said)
    assert done.stdout == ('{"event": "stopped"}\n' if form == "json" else "")


# As where Ctrl-C comes while modules are still being loaded.
_LOADING = """
import sys
import cli

class Interrupting:
    def find_spec(self, name, *_):
        if name == "tellapart.names":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
sys.exit(cli.main(["--version"]))
"""


def test_ctrl_c_at_the_very_beginning_is_a_line_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADING], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, "stopped (exit code 130)\n", "")
