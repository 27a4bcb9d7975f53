"""Being told to stop: which signals end what."""

import subprocess
import sys

# A process of its own: threads that were there before could take the signal in the main thread's place.
_IN_THE_BACKGROUND = """
import os, signal
from tellapart.stopping import stopping_on_sigterm

signal.signal(signal.SIGINT, signal.SIG_IGN)
with stopping_on_sigterm():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # an event loop takes over this one only
    os.kill(os.getpid(), signal.SIGINT)
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""


def test_where_ctrl_c_is_ignored_it_has_its_handler_and_does_not_come() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _IN_THE_BACKGROUND], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
