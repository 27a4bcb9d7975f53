"""Ports for servers that a test starts."""

import random
import socket
from contextlib import suppress

_PORTS = range(20_000, 32_000)
_anyhow = random.SystemRandom()  # a seed that is set elsewhere would have two runs choose alike


def free_port() -> int:
    """One on loopback that stays free until it is bound: it lies below those that connections are given.

    No other test gets it while this process lives, in whatever run: a socket of its name says that it is given away.

    Raises:
        OSError: none can be had, as where sockets have no abstract names.
    """
    for port in _anyhow.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, socket.socket(socket.AF_UNIX) as claim, suppress(OSError):
            claim.bind(f"\0port {port} of a test of Tellapart")
            probe.bind(("127.0.0.1", port))
            claim.detach()
            return port
    raise OSError(f"no port from {_PORTS.start} to {_PORTS.stop - 1} can be claimed")
