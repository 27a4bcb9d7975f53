"""What was measured is kept: for every server where the machine was quiet, for this server alone where it was not."""

from pathlib import Path
from typing import Any

import pytest

from tellapart import tuning
from tellapart.tuning import Tuning, tune

BEST = Tuning(batch=4, streams=2, threads=1, rate=20.0)


@pytest.mark.parametrize(("load", "measured"), [(0.1, [1, 1, 1]), (50.0, [1, 1, 2])])
def test_a_busy_machines_figures_last_as_long_as_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: float, measured: list[int]
) -> None:
    sweeps: list[int] = []

    def sweep(*_: Any) -> list[Tuning]:
        sweeps.append(1)
        return [BEST]

    monkeypatch.setattr(tuning, "sweep", sweep)
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    extractor: Any = None
    seen = []
    for server in ("one", "one", "two"):
        assert tune(extractor, 224, 2, tmp_path / "cache", "resnet18", tmp_path / f"{server}.json") == BEST
        seen.append(len(sweeps))
    assert seen == measured
