"""What this machine lets us use, found out without loading torch."""

import ctypes
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_DEVICES = Path("/dev")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's numbers for mallopt


def cpus() -> int:
    """Processor cores this process may keep busy: its affinity, and the container's share where there is one."""
    return max(1, round(min([len(os.sched_getaffinity(0)), *_shares()])))


def _shares() -> Iterator[float]:
    """Cores that the control groups this process is in may use, version 2 or 1, where they are limited.

    A limit counts for all groups below, too. A container may see its own group as the uppermost, and yet be told of
    the path that it has outside.
    """
    for line in _OWN_GROUPS.read_text().splitlines() if _OWN_GROUPS.exists() else []:
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(",") or not controllers:
            group = Path(path.lstrip("/"))
            for folder in (group, *group.parents):
                with suppress(OSError, ValueError):  # no such file, or "max"
                    quota, period = _quota(_GROUPS / ("cpu" if controllers else "") / folder)
                    if quota > 0:  # version 1 says -1 where there is no limit
                        yield quota / period


def _quota(group: Path) -> tuple[int, int]:
    """Microseconds of processor time in each period, and those of the period.

    Raises:
        OSError, ValueError: there is no limit.
    """
    if (both := group / "cpu.max").exists():
        quota, period = both.read_text().split()
    else:
        quota, period = ((group / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
    return int(quota), int(period)


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

    CUDA counts those it finds from 0 on, while a container may have only /dev/nvidia3. Of what is named it sees
    those before the first that is none, such as -1.
    """
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return list(takewhile(lambda name: name not in ("", "-1"), map(str.strip, chosen.split(","))))
    return [str(number) for number, _ in enumerate(_DEVICES.glob("nvidia[0-9]*"))]


def keep_freed_memory() -> None:
    """Let memory that is freed stay with this process for its next use, where the C library is glibc.

    Else pictures and feature maps come from fresh pages each time, and a third of decoding and a tenth of
    a network's time is spent on having those zeroed.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_TRIM_THRESHOLD, 2**30)
        library.mallopt(_MMAP_THRESHOLD, 2**25)  # the most there may be
