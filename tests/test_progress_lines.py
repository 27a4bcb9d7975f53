"""What programs read from the command line: progress, result and error as JSON lines; SIGTERM keeps everything."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cli
from tellapart.dataset import Dataset
from tellapart.errors import SourceError
from tellapart.json_lines import MIN_INTERVAL, JsonLines
from tellapart.progress import Progress, Stage
from tests.webui.worker.gated import FEW

ROOT = Path(__file__).resolve().parent.parent
MakePicture = Callable[..., bytes]
Lines = list[dict[str, Any]]
MANY = 2 * FEW


@pytest.fixture
def ask(isolated_home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Lines, str]]:
    """Runs `tellapart ... --progress json`; gives the exit code, the lines and stderr."""

    def run(*words: str) -> tuple[int, Lines, str]:
        code = cli.main([*words, "--progress", "json"])
        written = capsys.readouterr()
        return code, [json.loads(line) for line in written.out.splitlines()], written.err

    return run


@pytest.fixture
def pets(tmp_path: Path, make_photo: MakePicture) -> Path:
    for number, (name, count) in enumerate({"cat": 3, "dog": 2}.items()):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "pets" / name / f"{i}.png").write_bytes(make_photo(100 * number + i))
    return tmp_path / "pets"


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[[], Lines]:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_collect_says_how_far_it_is_and_what_came_of_it(ask: Callable[..., Any], pets: Path, tmp_path: Path) -> None:
    code, lines, errors = ask("collect", "mine", "cat", "dog", "--source", f"folder:{pets}")
    assert (code, errors) == (0, "")
    assert {line["event"] for line in lines[:-1]} == {"progress"}
    last = [line for line in lines if line.get("stage") == "collect cat"][-1]
    assert (last["done"], last["total"], last["counts"]["kept"], last["finished"]) == (3, 200, 3, True)
    root = str(tmp_path / "home" / "datasets" / "mine")
    assert lines[-1] == {"event": "result", "dataset": root, "kept": {"cat": 3, "dog": 2}}


def test_a_failure_is_the_last_line_and_one_on_stderr(ask: Callable[..., Any], pets: Path) -> None:
    code, lines, errors = ask("collect", "mine", "cat", "bird", "--source", f"folder:{pets}")
    assert code == 4
    assert lines[-1]["event"] == "error"
    assert "no pictures for 'bird'" in lines[-1]["message"]
    assert "Put them in" in lines[-1]["fix"]
    assert lines[-1]["exit_code"] == 4
    assert errors.startswith("error: no pictures for 'bird'")
    code, lines, _ = ask("create", "mine", "cat")
    assert (code, [line["event"] for line in lines]) == (2, ["error"])


def test_a_progress_value_comes_back_from_its_line(written: Callable[[], Lines]) -> None:
    progress = Progress("features", 3, 9, "files", 1.5, {"kept": 2}, "note", True, {"loss": 0.5})
    with JsonLines() as out:
        out.report(progress)
    (line,) = written()
    assert line.pop("event") == "progress"
    assert Progress(**line) == progress


def test_lines_are_left_out_but_never_the_first_the_last_or_a_measurement(written: Callable[[], Lines]) -> None:
    now = 0.0
    with JsonLines(lambda: now) as out, Stage(out.report, "a", total=100) as stage:
        for _ in range(100):
            now += MIN_INTERVAL / 10
            stage.advance()
        stage.measure(loss=0.25)
    lines = written()
    assert lines[0]["done"] == 0
    assert [line["values"] for line in lines if line["values"]] == [{"loss": 0.25}]
    assert (lines[-1]["done"], lines[-1]["finished"]) == (100, True)
    assert 10 <= len(lines) <= 14


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SourceError("it is away", "Wait"), {"event": "error", "message": "it is away", "fix": "Wait", "exit_code": 4}),
        (ZeroDivisionError("a\nb"), {"message": "unexpected failure: ZeroDivisionError: a b", "exit_code": 1}),
        (KeyboardInterrupt(), {"event": "stopped"}),
    ],
)
def test_every_end_has_its_line(error: BaseException, line: dict[str, Any], written: Callable[[], Lines]) -> None:
    with pytest.raises(type(error)), JsonLines():
        raise error
    (found,) = written()
    assert found | line == found


@pytest.fixture
def many(tmp_path: Path, make_photo: MakePicture) -> Path:
    for name in ("cat", "dog"):
        (tmp_path / "many" / name).mkdir(parents=True)
    for i in range(MANY):
        (tmp_path / "many" / ("cat", "dog")[i % 2] / f"{i}.png").write_bytes(make_photo(i))
    return tmp_path / "many"


@pytest.fixture(params=["foreground", "background"])
def collecting(many: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A collection that comes no further than half of its pictures; in the background of a shell, Ctrl-C is ignored."""
    trap = {"foreground": "trap - INT", "background": "trap '' INT"}[request.param]
    words = ["-m", "tests.webui.worker.gated", str(tmp_path / "never"), "collect", "mine", "cat", "dog"]
    words += ["--source", f"folder:{many}", "--progress", "json"]
    process = subprocess.Popen(
        ["sh", "-c", f'{trap}; exec "$0" -m tellapart.stopping {os.getpid()} "$0" "$@"', sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "TELLAPART_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def until_some_are_kept(out: io.TextIOWrapper) -> None:
    while json.loads(out.readline())["counts"].get("kept", 0) < FEW // 4:
        pass


def test_sigterm_stops_with_everything_kept(
    collecting: subprocess.Popen[str], ask: Callable[..., Any], many: Path, tmp_path: Path
) -> None:
    until_some_are_kept(collecting.stdout)  # type: ignore[arg-type]
    collecting.send_signal(signal.SIGTERM)
    out, err = collecting.communicate(timeout=90)
    assert collecting.returncode == 130
    assert json.loads(out.splitlines()[-1]) == {"event": "stopped"}
    assert err.strip() == "stopped (exit code 130); what was done is kept, and the same command goes on there"
    dataset = Dataset.open(tmp_path / "home" / "datasets" / "mine")
    kept = dataset.manifest.kept()
    assert FEW // 4 <= len(kept) <= FEW
    assert all(dataset.image_path(row).stat().st_size == row.bytes for row in kept)
    code, lines, _ = ask("collect", "mine", "cat", "dog", "--source", f"folder:{many}")
    assert (code, lines[-1]["kept"]) == (0, {"cat": MANY // 2, "dog": MANY // 2})


def test_a_command_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    """The middle process, which ignores SIGTERM, starts one that would sleep, and is killed outright."""
    middle = "import os, signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    middle += "subprocess.Popen([sys.executable, '-m', 'tellapart.stopping', "
    middle += "str(os.getpid()), 'sleep', '600'], stdout=1); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", middle], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    import psutil

    waiting = psutil.Process(process.pid)
    while not (below := [p for p in waiting.children() if p.name() == "sleep"]):
        assert process.poll() is None
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(below, 90)
    assert (len(gone), alive) == (1, [])


def test_a_command_whose_asker_is_gone_before_it_starts_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tellapart.stopping", "1", "touch", str(tmp_path / "touched")]
    subprocess.run(command, cwd=ROOT, check=True)
    assert not (tmp_path / "touched").exists()
