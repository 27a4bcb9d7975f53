"""The ports that tests are given."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ports

ROOT = Path(__file__).resolve().parent.parent
CLAIM = """
import sys
from tests import ports
ports._PORTS = range(int(sys.argv[1]), int(sys.argv[1]) + 1)
print(ports.free_port())
"""


def test_a_port_is_given_once_and_no_other_run_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.free_port()
    monkeypatch.setattr(ports, "_PORTS", range(port, port + 1))
    with pytest.raises(OSError, match="can be claimed"):
        ports.free_port()
    other = subprocess.run(
        [sys.executable, "-c", CLAIM, str(port)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=90
    )
    assert other.stderr.endswith("can be claimed\n")


def test_where_sockets_have_no_names_it_says_so_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nameless(socket.socket):
        def bind(self, address: object) -> None:
            raise FileNotFoundError(address)

    monkeypatch.setattr(socket, "socket", Nameless)
    with pytest.raises(OSError, match="no port from 20000 to 31999 can be claimed"):
        ports.free_port()
