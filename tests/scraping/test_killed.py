"""A collector killed at any moment: nothing is lost, doubled or half-written, and the next run goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from werkzeug.wrappers import Response

from scraping.collect import collect
from scraping.sources.gallery.source import GallerySource
from tellapart.images import sha256
from tellapart.progress import silent

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(900)  # twenty runs, which a busy machine starts slowly
MOMENTS = 20
PER_CLASS = 200

PROGRAM = """
import os, sys
from pathlib import Path
from scraping.collect import collect
from scraping.source import Candidate
from tellapart.dataset import Dataset
from tellapart.progress import silent
from tellapart.settings import Settings

class Source:
    name, local, remembered = "list", True, True
    def search(self, class_name, query):
        for rank in range(PER_CLASS):
            yield Candidate(f"{sys.argv[2]}/{class_name.slug}/{rank}.png", self.name, query, rank)
    def close(self): pass

root = Path(sys.argv[1])
for _ in sys.stdin:  # one run a line, forked, so that loading Python is paid once
    child = os.fork()
    if not child:
        collect(Dataset.open(root), [Source()], PER_CLASS, Settings(home=root), silent)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
""".replace("PER_CLASS", str(PER_CLASS))


def check_whole(dataset) -> set[str]:
    """Every row's picture is there, whole, once; gives the addresses kept."""
    kept = dataset.manifest.kept()
    for row in kept:
        assert sha256(dataset.image_path(row).read_bytes()) == row.sha256
    assert set(Counter((row.class_slug, row.sha256) for row in kept).values()) <= {1}
    finished = [path for path in (dataset.root / "images").rglob("*.png") if not path.name.startswith(".part-")]
    assert all(sha256(path.read_bytes()) == path.stem for path in finished)
    return {row.url for row in kept}


class Killer:
    """Ends a run a moment after it has asked for so many pictures."""

    def __init__(self) -> None:
        self.left, self.delay = 0, 0.0
        self.child: Future[int] = Future()

    def arm(self, requests: int, delay: float) -> None:
        self.left, self.delay, self.child = requests, delay, Future()

    def notice_request(self) -> None:
        self.left -= 1
        if self.left == 0:
            Timer(self.delay, lambda child: os.kill(child.result(90), signal.SIGKILL), [self.child]).start()


def test_twenty_random_kills_lose_nothing_and_double_nothing(make_dataset, settings, site, list_source, make_photo):
    dataset, killer = make_dataset("cat", "dog"), Killer()

    def answer(data: bytes):
        def give(_: object) -> Response:
            killer.notice_request()
            return Response(data)

        return give

    names = [f"{slug}/{n}" for slug in ("cat", "dog") for n in range(PER_CLASS)]
    addresses = [site.on(f"/{name}.png", answer(make_photo(seed))) for seed, name in enumerate(names)]
    schedule = random.Random(20)
    kept: set[str] = set()
    arguments = [sys.executable, "-c", PROGRAM, str(dataset.root), site.url]
    with subprocess.Popen(arguments, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runs:
        for _ in range(MOMENTS):
            killer.arm(schedule.randint(1, 24), schedule.uniform(0, 0.08))
            print("go", file=runs.stdin, flush=True)
            killer.child.set_result(int(runs.stdout.readline()))
            assert int(runs.stdout.readline()) == -signal.SIGKILL
            now = check_whole(dataset)
            assert kept <= now, "a picture that was written down is lost"
            kept = now
    assert 0 < len(kept) < len(names)

    before = site.asked.copy()
    source = list_source({"cat": addresses[:PER_CLASS], "dog": addresses[PER_CLASS:]})
    summary = collect(dataset, [source], PER_CLASS, settings, silent)
    assert summary.kept == {"cat": PER_CLASS, "dog": PER_CLASS}
    assert check_whole(dataset) == set(addresses)
    settled = {url.removeprefix(site.url) for url in kept}
    assert all(site.asked[path] == before[path] for path in settled)


BROWSES = """
import os, sys
from pathlib import Path
from scraping.collect import collect
from scraping.sources.gallery.source import GallerySource
from tellapart.dataset import Dataset
from tellapart.settings import load_settings

for _ in sys.stdin:  # forked as above; a line for each step that collecting reports
    child = os.fork()
    if not child:
        settings, dataset = load_settings(), Dataset.open(Path(sys.argv[1]))
        collect(dataset, [GallerySource(settings)], 500, settings, lambda _: print(flush=True))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
STARTING = 4  # steps of two classes before the first picture


def moments(schedule: random.Random) -> list[tuple[int, float]]:
    """(steps, seconds after them): most while the browser starts, the others while pictures come."""
    going = [(STARTING + schedule.randint(1, 8), schedule.uniform(0, 0.03)) for _ in range(8)]
    starting = [(schedule.randint(1, STARTING), schedule.uniform(0, 0.8)) for _ in range(MOMENTS - len(going))]
    return schedule.sample([*starting, *going], MOMENTS)


def processes_of(folder: Path, parent: int) -> list[str]:
    """What runs with this folder for its temporary files, beside the process that starts the runs."""
    found = []
    for process in (p for p in Path("/proc").iterdir() if p.name.isdecimal() and int(p.name) != parent):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if str(folder).encode() in said:
            found.append(said.partition(b"\0")[0].decode())
    return found


def wait_until_gone(folder: Path, parent: int) -> None:
    deadline = time.monotonic() + 90
    while left := processes_of(folder, parent):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


@pytest.mark.browser
def test_twenty_random_kills_leave_no_browser_behind(
    browser_settings, class_folders, make_dataset, short_folder, monkeypatch
):
    settings = replace(browser_settings, gallery_folder=class_folders(cat=90, dog=90))
    dataset, folder = make_dataset("cat", "dog"), short_folder
    environment = {
        **os.environ,
        "TMPDIR": str(folder),
        "TELLAPART_HOME": str(settings.home),
        "TELLAPART_GALLERY": str(settings.gallery_folder),
    }
    kept: set[str] = set()
    arguments = [sys.executable, "-c", BROWSES, str(dataset.root)]
    with subprocess.Popen(
        arguments, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as runs:
        for steps, delay in moments(random.Random(21)):
            print("go", file=runs.stdin, flush=True)
            child = int(next(line for line in runs.stdout if line.strip()))
            assert all(runs.stdout.readline() == "\n" for _ in range(steps)), "the run ended by itself"
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
            assert next(line for line in runs.stdout if line.strip()) == f"{-signal.SIGKILL}\n"
            wait_until_gone(folder, runs.pid)
            now = check_whole(dataset)
            assert kept <= now, "a picture that was written down is lost"
            kept = now
    assert 0 < len(kept) < 180

    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert collect(dataset, [GallerySource(settings)], 500, settings, silent).kept == {"cat": 90, "dog": 90}
    assert len(check_whole(dataset)) == 180
    assert not list(folder.glob("tellapart-chromium-*"))
