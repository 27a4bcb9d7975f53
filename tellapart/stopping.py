"""Ending work when it is told to, and when the process that asked for it is gone."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 20.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # before any fork: opening it takes a lock, which may be held when another thread forks


@contextmanager
def stopping_on_sigterm() -> Generator[None, None, None]:
    """Let SIGTERM end the body as Ctrl-C does; what has not ended `PATIENCE` seconds later is ended outright.

    Everything that works on data sets keeps what it has when it ends, so the same command goes on there.
    """
    with _interruptible():
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _interruptible() -> Generator[None, None, None]:
    """Where Ctrl-C is ignored, as in the background of a shell, let it have its handler and not come.

    An event loop ends in order by that handler; without one, an interrupt would be raised in any of its tasks.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    last = threading.Timer(PATIENCE, os._exit, [130])
    last.daemon = True
    last.start()
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


@contextmanager
def signals_held() -> Generator[None, None, None]:
    """Let the signals that end work come when the body has ended; what it starts has to let them come to itself."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def let_signals_come() -> None:
    """Undo what `signals_held` handed down to this process."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def end_with_parent() -> None:
    """On Linux, let this process get SIGTERM when the thread that started it ends, killed outright included."""
    with suppress(AttributeError):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main(arguments: list[str]) -> None:
    """Become the command of `PARENT COMMAND...`, which is told to stop when the process PARENT is gone."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # who ignores it hands that down
    end_with_parent()
    if os.getppid() == int(arguments[0]):
        os.execvp(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
