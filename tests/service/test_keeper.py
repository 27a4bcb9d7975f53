"""What keeps a process at work, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

_FAILS = """
import os, sys
from tellapart.keeper import keep

def work():
    with open(sys.argv[1], "a") as file:
        file.write("once ")
    raise ValueError("no")

os._exit(keep(work))
"""

_KEEPS = """
import os, signal, sys, threading
from pathlib import Path
from tellapart.keeper import keep

def work():
    if not Path(sys.argv[1]).exists():
        Path(sys.argv[1]).touch()
        os.kill(os.getpid(), signal.SIGRTMIN + 1)

if sys.argv[2] == "2":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
os._exit(keep(work))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_whatever_signal_ends_it_another_is_forked_and_threads_are_warned_of(tmp_path: Path, threads: int) -> None:
    command = [sys.executable, "-c", _KEEPS, str(tmp_path / "once"), str(threads)]
    kept = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert kept.returncode == 0
    assert "another is forked" in kept.stderr
    assert ("2 threads" in kept.stderr) == (threads == 2)


def test_what_fails_by_itself_is_said_and_not_forked_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FAILS, str(tmp_path / "file")]
    kept = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert kept.returncode == 1
    assert "ValueError: no" in kept.stderr
    assert (tmp_path / "file").read_text() == "once "
