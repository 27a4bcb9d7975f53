"""Ports for servers that a test starts."""

import random
import socket
from contextlib import suppress

_anyhow = random.SystemRandom()  # a seed that is set elsewhere would have two runs choose alike


def free_port() -> int:
    """One on loopback that is free, and below those that connections are given: it stays free until it is bound."""
    while True:
        port = _anyhow.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
