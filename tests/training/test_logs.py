"""Where training curves go beside the report."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tellapart.errors import TellapartError
from tellapart.progress import Progress
from training.logs import RunLog


@pytest.fixture
def seen() -> list[Progress]:
    return []


def write(runs: Path | None, seen: list[Progress]) -> None:
    with RunLog(runs, "pets", {"seed": 1}, seen.append) as log:
        log.scalars({"loss": 0.5, "unknown": None}, 1)
        log.scalars({"loss": 0.25}, 2)


def test_tensorboard_reads_the_curves_and_one_line_says_where(tmp_path: Path, seen: list[Progress]) -> None:
    write(tmp_path / "pets", seen)
    (folder,) = (tmp_path / "pets").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
    assert events.Tags()["scalars"] == ["loss"]
    assert [p.note for p in seen] == [f"training curves: tensorboard --logdir {tmp_path / 'pets'}"]


def test_no_folder_is_no_log(tmp_path: Path, seen: list[Progress], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(None, seen)
    assert seen == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, seen: list[Progress]) -> None:
    (tmp_path / "pets").write_text("a file")
    with pytest.raises(TellapartError, match=r"cannot write .*pets"):
        write(tmp_path / "pets", seen)


def test_mlflow_that_is_not_there_costs_one_line(
    tmp_path: Path, seen: list[Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    write(tmp_path, seen)
    assert "mlflow is not installed" in seen[1].note
    assert len(seen) == 2


class FakeMlflow(ModuleType):
    """Remembers what it was called with; fails at one call."""

    def __init__(self, fails_at: str = "") -> None:
        super().__init__("mlflow")
        self.calls: list[tuple[Any, ...]] = []
        self.fails_at = fails_at

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> None:
            self.calls.append((name, *arguments, *named.values()))
            if name == self.fails_at:
                raise OSError("no such\nserver")

        return call


def test_mlflow_gets_parameters_and_curves(
    tmp_path: Path, seen: list[Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeMlflow()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    write(tmp_path, seen)
    assert fake.calls == [
        ("set_experiment", "pets"),
        ("start_run",),
        ("log_params", {"seed": "1"}),
        ("log_metrics", {"loss": 0.5}, 1),
        ("log_metrics", {"loss": 0.25}, 2),
        ("end_run", "FINISHED"),
    ]


@pytest.mark.parametrize("fails_at", ["set_experiment", "log_metrics", "end_run"])
def test_a_tracking_server_that_fails_costs_no_training(
    tmp_path: Path, seen: list[Progress], monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", FakeMlflow(fails_at))
    write(tmp_path, seen)
    assert [p.note for p in seen[1:]] == ["MLflow cannot be used any more: no such server"]
