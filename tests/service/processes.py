"""What tests of killed processes share: which are meant, and waiting for what becomes of them."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import psutil

FRONT, RUNNER = "_bentoml_impl.worker.service", "tellapart.runner"  # words of their commands
Asking = Callable[..., AbstractContextManager[Any]]
Processes = Callable[..., list[psutil.Process]]


def until(holds: Callable[[], bool]) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < 240  # some seconds where the machine is not busy
        time.sleep(0.02)
    return time.monotonic() - began
