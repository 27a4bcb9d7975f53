"""What this machine lets us use, found out without loading torch."""

import os
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


def visible_gpus(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them.

    CUDA counts those it finds from 0 on, while a container may have only /dev/nvidia3.
    """
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(_DEVICES.glob("nvidia[0-9]*"))]
