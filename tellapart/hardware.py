"""What this machine lets us use, found out without loading torch."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_DEVICES = Path("/dev")


def cpus() -> int:
    """Processor cores this process may keep busy: its affinity, and the container's share where there is one."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return cores


def processor() -> str:
    """Which processor this is, by its model and what it can do: what was compiled or tuned for it depends on that."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    said = {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    return f"{platform.machine()} {sorted(said)}"


def visible_gpus(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them.

    CUDA counts those it finds from 0 on, while a container may have only /dev/nvidia3.
    """
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(_DEVICES.glob("nvidia[0-9]*"))]
