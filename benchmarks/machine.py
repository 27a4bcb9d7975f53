"""What a measurement was made on, as every benchmark prints it, and the home it has to itself."""

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def machine() -> str:
    """Processor, cores, load and Python, in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


@contextmanager
def home_of_its_own() -> Iterator[None]:
    """Let this process and those it starts use an empty home and store, and no settings of the user's."""
    with tempfile.TemporaryDirectory() as home:
        for name in [n for n in os.environ if n.startswith("TELLAPART_")]:
            del os.environ[name]
        os.environ.update(TELLAPART_HOME=f"{home}/home", BENTOML_HOME=f"{home}/bentoml", BENTOML_DO_NOT_TRACK="True")
        yield
