"""Being told to stop: which signals end what."""

import os
import signal

from tellapart.stopping import stopping_on_sigterm


def test_where_ctrl_c_is_ignored_it_has_its_handler_and_does_not_come() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping_on_sigterm():
            assert (
                signal.getsignal(signal.SIGINT) is signal.default_int_handler
            )  # an event loop takes over this one only
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.signal(signal.SIGINT, before)
