"""Choosing among measured ways of computing, by figures that are known by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tellapart import tuning
from tellapart.tuning import Tuning, choose, tune


def test_the_fastest_is_chosen_and_cores_that_wait_for_each_other_only_when_clearly_faster() -> None:
    slow, alone = Tuning(4, 2, 1, 80.0), Tuning(8, 2, 1, 100.0)
    assert choose([slow, alone, Tuning(8, 1, 2, 120.0)]) == alone
    assert choose([slow, alone, Tuning(8, 1, 2, 130.0)]).threads == 2


def test_of_batches_that_are_about_as_fast_the_largest_is_chosen() -> None:
    ways = [Tuning(2, 2, 1, 80.0), Tuning(4, 2, 1, 100.0), Tuning(8, 2, 1, 96.0), Tuning(16, 2, 1, 94.0)]
    assert choose([*ways, Tuning(16, 1, 2, 99.0)]) == ways[2]


def test_every_way_is_measured_once_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    class Extractor:
        at_once = 1

        def __call__(self, pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
            calls.append((len(pixels), self.at_once))

    extractor: object = Extractor()
    monkeypatch.setattr(tuning, "_SECONDS", 0.0)
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    with caplog.at_level("INFO", logger="tellapart"):
        first = tune(extractor, 8, 1, tmp_path, "backbone", tmp_path / "beside")  # type: ignore[arg-type]
    assert [line.partition(",")[0] for line in caplog.messages] == [f"tuning: batch {n:2d}" for n in (4, 8, 16)]
    assert calls == [(4, 4), (8, 8), (16, 16)] * 3
    assert tune(extractor, 8, 1, tmp_path, "backbone", tmp_path / "beside") == first  # type: ignore[arg-type]
    assert len(calls) == 9
    tune(extractor, 8, 1, tmp_path, "another", tmp_path / "beside")  # type: ignore[arg-type]
    assert len(calls) == 18


@pytest.mark.parametrize(("load", "measured"), [(0.1, [1, 1, 1]), (50.0, [1, 1, 2])])
def test_what_was_measured_on_a_busy_machine_is_kept_for_the_same_server_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: float, measured: list[int]
) -> None:
    best = Tuning(8, 1, 1, 10.0)
    sweeps: list[int] = []
    monkeypatch.setattr(tuning, "sweep", lambda *_: sweeps.append(1) or [best])
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    seen = []
    for server in ("one", "one", "two"):
        extractor: Any = SimpleNamespace(at_once=1)
        assert tune(extractor, 8, 1, tmp_path / "cache", "backbone", tmp_path / server) == best
        assert extractor.at_once == 8  # measured just now or kept: the network takes as many at once as were tuned
        seen.append(len(sweeps))
    assert seen == measured


def test_what_was_measured_on_a_busy_machine_is_for_that_backbone_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = iter([Tuning(8, 1, 1, 10.0), Tuning(4, 1, 1, 20.0)])
    monkeypatch.setattr(tuning, "sweep", lambda *_: [next(ways)])
    monkeypatch.setattr("os.getloadavg", lambda: (50.0, 50.0, 50.0))
    extractor: Any = SimpleNamespace(at_once=1)
    found = [tune(extractor, 8, 1, tmp_path, key, tmp_path / "beside").batch for key in ("one", "other")]
    assert found == [8, 4]


def test_a_damaged_file_is_measured_again_and_a_full_disk_only_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = Tuning(8, 1, 1, 10.0)
    monkeypatch.setattr(tuning, "sweep", lambda *_: [best])
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    extractor: Any = SimpleNamespace(at_once=1)
    tune(extractor, 8, 1, tmp_path, "backbone", tmp_path / "beside")
    (file,) = (tmp_path / "tuning").iterdir()
    file.write_text("{")
    assert tune(extractor, 8, 1, tmp_path, "backbone", tmp_path / "beside") == best
    (tmp_path / "file").touch()
    assert tune(extractor, 8, 1, tmp_path / "file", "backbone", tmp_path / "beside") == best
