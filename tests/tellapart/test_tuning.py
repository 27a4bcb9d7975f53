"""Choosing among measured ways of computing, by figures that are known by hand."""

from pathlib import Path

import numpy as np
import pytest

from tellapart import tuning
from tellapart.tuning import Tuning, choose, tune


def test_the_fastest_is_chosen_and_cores_that_wait_for_each_other_only_when_clearly_faster() -> None:
    slow, alone = Tuning(4, 2, 1, 80.0), Tuning(8, 2, 1, 100.0)
    assert choose([slow, alone, Tuning(8, 1, 2, 120.0)]) == alone
    assert choose([slow, alone, Tuning(8, 1, 2, 130.0)]).threads == 2


def test_every_way_is_measured_once_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Extractor:
        at_once = 1

        def __call__(self, pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
            calls.append((len(pixels), self.at_once))

    extractor: object = Extractor()
    monkeypatch.setattr(tuning, "_SECONDS", 0.0)
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    first = tune(extractor, 8, 1, tmp_path, "backbone", tmp_path / "beside")  # type: ignore[arg-type]
    assert calls == [(2, 2), (4, 4), (8, 8), (16, 16)]
    assert tune(extractor, 8, 1, tmp_path, "backbone", tmp_path / "beside") == first  # type: ignore[arg-type]
    assert len(calls) == 4
    tune(extractor, 8, 1, tmp_path, "another", tmp_path / "beside")  # type: ignore[arg-type]
    assert len(calls) == 8


def test_what_was_measured_on_a_busy_machine_is_kept_for_the_same_server_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Tuning(8, 1, 1, 10.0)
    measured = []
    monkeypatch.setattr(tuning, "sweep", lambda *_: measured.append(1) or [busy])
    monkeypatch.setattr("os.getloadavg", lambda: (99.0, 99.0, 99.0))
    extractor: object = None
    for server in ("one", "one", "two"):
        found = tune(extractor, 8, 1, tmp_path, "backbone", tmp_path / server)  # type: ignore[arg-type]
        assert found == busy
    assert len(measured) == 2
