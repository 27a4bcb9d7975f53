"""Which processors and GPUs there are, read from folders made up as the kernel has them."""

import os
from pathlib import Path

import pytest

from tellapart import hardware


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of this test's own, on a machine of 16 cores."""
    monkeypatch.setattr(hardware, "_GROUPS", tmp_path)
    monkeypatch.setattr(hardware, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    return tmp_path


def limit(group: Path, quota: int | str, period: int | None = None) -> None:
    """Let a group use `quota` microseconds in each `period`, or what version 2 has in one file."""
    group.mkdir(parents=True, exist_ok=True)
    if period is None:
        (group / "cpu.max").write_text(f"{quota}\n")
    else:
        (group / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (group / "cpu.cfs_period_us").write_text(f"{period}\n")


@pytest.mark.parametrize(
    ("said", "cores"), [("400000 100000", 4), ("150000 100000", 2), ("20000 100000", 1), ("max 100000", 16)]
)
def test_a_containers_share_is_read_from_groups_of_version_2(groups: Path, said: str, cores: int) -> None:
    (groups / "own").write_text("0::/\n")
    limit(groups, said)
    assert hardware.cpus() == cores


@pytest.mark.parametrize(("quota", "cores"), [(400_000, 4), (3_200_000, 16), (-1, 16)])
@pytest.mark.parametrize("path", ["/", "/docker/0af1"])  # what a container sees as uppermost may be its own group
def test_a_containers_share_is_read_from_groups_of_version_1(groups: Path, path: str, quota: int, cores: int) -> None:
    (groups / "own").write_text(f"4:memory:{path}\n2:cpu,cpuacct:{path}\n1:cpuset:{path}\n0::/\n")
    limit(groups / "cpu", quota, 100_000)
    assert hardware.cpus() == cores


def test_the_least_limit_of_all_groups_above_counts(groups: Path) -> None:
    (groups / "own").write_text("0::/tellapart.slice/service\n")
    limit(groups / "tellapart.slice" / "service", "max 100000")
    limit(groups / "tellapart.slice", "300000 100000")
    limit(groups / "other.slice", "100000 100000")
    assert hardware.cpus() == 3


def test_where_nothing_is_limited_or_known_it_is_what_the_process_may_run_on(groups: Path) -> None:
    assert hardware.cpus() == 16
    (groups / "own").write_text("0::/../..\n")
    assert hardware.cpus() == 16


def test_gpus_are_counted_as_cuda_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_DEVICES", tmp_path)
    assert hardware.visible_gpus({}) == []
    for name in ("nvidia3", "nvidia10", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert hardware.visible_gpus({}) == ["0", "1"]
    assert hardware.visible_gpus({"CUDA_VISIBLE_DEVICES": "3, 5"}) == ["3", "5"]
    assert hardware.visible_gpus({"CUDA_VISIBLE_DEVICES": "GPU-8932f937,-1,1"}) == ["GPU-8932f937"]
    assert (
        hardware.visible_gpus({"CUDA_VISIBLE_DEVICES": ""})
        == hardware.visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"})
        == []
    )
