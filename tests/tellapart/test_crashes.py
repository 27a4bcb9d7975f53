"""A picture that crashes a native decoder is turned away by the next run, and no other with it."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL.PngImagePlugin import PngInfo

from tellapart.crashes import Apart, CrashGuard, Stopped
from tellapart.dataset import Dataset
from tellapart.images import sha256
from tellapart.metadata import preview
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Rejected, Status, inspect

REPOSITORY = Path(__file__).parents[2]
FRAGILE = """
import signal
from PIL import ImageFile

load = ImageFile.ImageFile.load

def load_or_crash(image):
    if image.info.get("crashes") or (image.info.get("comment"), image.mode) == (b"crashes in colour", "RGB"):
        signal.raise_signal(signal.SIGSEGV)  # in this thread, as a decoder's own
    return load(image)

ImageFile.ImageFile.load = load_or_crash
"""
COLLECTS = """
import sys
from pathlib import Path
from scraping.collect import collect
from scraping.sources.folder import FolderSource
from tellapart.dataset import Dataset
from tellapart.progress import silent
from tellapart.settings import Settings

dataset, pictures = Path(sys.argv[1]), Path(sys.argv[2])
collect(Dataset.open(dataset), [FolderSource(pictures)], 9, Settings(home=dataset), silent)
"""
OPENS = """
import sys
from pathlib import Path
from tellapart.folders import open_folder

open_folder(Path(sys.argv[2]), Path(sys.argv[1]))
"""


@pytest.fixture
def run(tmp_path):
    """Run a program whose decoder crashes on pictures that say so; gives its exit code."""
    (tmp_path / "sitecustomize.py").write_text(FRAGILE)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}

    def start(program: str, *arguments: Path) -> int:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode

    return start


@pytest.fixture
def pictures(tmp_path, make_photo):
    """Two classes of three pictures, of which one crashes its decoder."""
    crashing = PngInfo()
    crashing.add_text("crashes", "yes")
    for seed in range(6):
        path = tmp_path / "pictures" / ("cat", "dog")[seed % 2] / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_photo(seed, **({"pnginfo": crashing} if seed == 2 else {})))
    return tmp_path / "pictures"


def check_rows(dataset: Dataset) -> None:
    rows = {row.url.rpartition("/")[2]: row for row in dataset.manifest.attempts()}
    bad = rows.pop("2.png")
    assert (bad.status, bad.reason) == (Status.REJECTED, Reason.TRUNCATED)
    assert bad.detail == "decoding the picture ends the program (SIGSEGV)"
    assert {row.status for row in rows.values()} == {Status.KEPT}
    assert len(rows) == 5


def test_collecting_gets_past_it_in_the_next_run(run, pictures, tmp_path):
    dataset = Dataset.create(tmp_path / "dataset", "dataset", parse_class_names(["cat", "dog"]), ["folder"])
    assert run(COLLECTS, dataset.root, pictures) == -signal.SIGSEGV
    assert run(COLLECTS, dataset.root, pictures) == 0
    check_rows(dataset)


def test_so_does_reading_a_plain_folder(run, pictures, tmp_path):
    home = tmp_path / "home"
    assert run(OPENS, home, pictures) == -signal.SIGSEGV
    assert run(OPENS, home, pictures) == 0
    (root,) = (home / "folders").iterdir()
    check_rows(Dataset.open(root))


@pytest.fixture
def guard(tmp_path, make_photo, monkeypatch):
    """A guard that was left a mark of `make_photo(1)`, which it tries out in a process that a signal ends."""

    def make(ended_by: signal.Signals) -> CrashGuard:
        (tmp_path / "sitecustomize.py").write_text(f"import signal\nsignal.raise_signal({ended_by.value})")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        (tmp_path / "decoding").mkdir()
        (tmp_path / "decoding" / sha256(make_photo(1))).touch()
        return CrashGuard(tmp_path)

    return make


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_what_ends_a_process_of_its_own_is_turned_away(guard, make_photo, crash):
    with pytest.raises(Rejected, match=crash.name):
        guard(crash).inspect(make_photo(1))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_tried_out_while_everything_is_stopped_is_not_turned_away(guard, make_photo, stop):
    assert guard(stop).inspect(make_photo(1)).sha256 == sha256(make_photo(1))


@pytest.fixture
def fragile(tmp_path, monkeypatch):
    """Processes that are started have a decoder that crashes."""
    (tmp_path / "sitecustomize.py").write_text(FRAGILE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def crashing(make_photo, seed=7):
    info = PngInfo()
    info.add_text("crashes", "yes")
    return make_photo(seed, pnginfo=info)


def test_apart_a_picture_ends_nothing_but_its_own_process(fragile, make_photo):
    in_colour = make_photo(8, format="JPEG", comment=b"crashes in colour")
    with Apart() as apart:
        assert apart.inspect(make_photo(1)) == inspect(make_photo(1))
        for bad in (crashing(make_photo), in_colour, crashing(make_photo)):
            with pytest.raises(Rejected, match="SIGSEGV") as caught:
                apart.inspect(bad)
            assert caught.value.reason == Reason.TRUNCATED
        with pytest.raises(Rejected, match="the file is not a picture") as caught:
            apart.inspect(b"words")
        assert caught.value.reason == Reason.NOT_AN_IMAGE
        assert apart.inspect(make_photo(2)) == inspect(make_photo(2))
        with pytest.raises(Rejected, match="SIGSEGV"):
            apart.preview(in_colour, 48)
        assert apart.preview(make_photo(2), 48) == preview(make_photo(2), 48)
        process = apart._process
    assert process.poll() is not None


def test_apart_a_process_that_was_killed_between_two_pictures_is_started_anew(make_photo):
    with Apart() as apart:
        apart.inspect(make_photo(1))
        apart._process.kill()
        apart._process.wait()
        assert apart.inspect(make_photo(2)) == inspect(make_photo(2))


def test_apart_has_no_verdict_where_it_was_stopped(tmp_path, make_photo, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Apart() as apart, pytest.raises(Stopped):
        apart.inspect(make_photo(1))


def test_pictures_are_tried_out_one_after_the_other(tmp_path, make_photo, monkeypatch):
    (tmp_path / "decoding").mkdir()
    photos, at_work, most = [make_photo(seed) for seed in range(4)], [], []

    def try_out(apart, _):
        at_work.append(apart)
        most.append(len(at_work))
        time.sleep(0.1)
        at_work.pop()

    monkeypatch.setattr(Apart, "inspect", try_out)
    for photo in photos:
        (tmp_path / "decoding" / sha256(photo)).touch()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(CrashGuard(tmp_path).inspect, photos))
    assert [picture.sha256 for picture in found] == [sha256(photo) for photo in photos]
    assert most == [1, 1, 1, 1]
