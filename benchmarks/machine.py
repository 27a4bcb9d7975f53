"""What a measurement is made on, as every benchmark prints it; the home it has to itself, and ports for its servers."""

import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def machine() -> str:
    """Processor, cores, load and Python, in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


@contextmanager
def home_of_its_own() -> Iterator[Path]:
    """A folder for an empty home and store, which this process and those it starts use, without the user's settings."""
    with tempfile.TemporaryDirectory() as home:
        for name in [n for n in os.environ if n.startswith("TELLAPART_")]:
            del os.environ[name]
        os.environ.update(TELLAPART_HOME=f"{home}/home", BENTOML_HOME=f"{home}/bentoml", BENTOML_DO_NOT_TRACK="True")
        yield Path(home)


def free_port() -> int:
    """One on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
