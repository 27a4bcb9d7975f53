"""Collecting: what is kept and written down, what a rerun does, what failures cost."""

import errno
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from scraping.collect import collect
from scraping.source import LayoutChanged, NoResults, Unavailable
from scraping.sources.folder import FolderSource
from tellapart.errors import SourceError, TellapartError
from tellapart.images import sha256
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status
from tellapart.progress import Progress, silent

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def fill(site, list_source, make_photo):
    """Serve `count` pictures for a class and give their addresses."""

    def make(name: str, count: int, seed: int = 0) -> list[str]:
        return [site.serve(f"/{name}/{n}.png", make_photo(seed + n)) for n in range(count)]

    return make


def files_of(dataset, slug: str) -> set[str]:
    return {path.name for path in (dataset.root / "images" / slug).iterdir()}


def test_pictures_are_stored_as_they_came_with_their_origin(make_dataset, settings, site, list_source, make_photo):
    dataset = make_dataset("cat", "dog")
    photo = make_photo(1, size=(60, 50), format="JPEG")
    source = list_source(
        {"cat": [site.serve("/1.bin", photo)], "dog": [site.serve("/2", make_photo(2))]},
        page_url="https://example.org/page",
        license="CC BY 4.0",
        license_url="https://example.org/license",
        author="Ann",
        attribution="by Ann",
    )
    summary = collect(dataset, [source], 5, settings, silent)
    assert summary.kept == {"cat": 1, "dog": 1}
    row = dataset.manifest.attempts("cat")[0]
    assert dataset.image_path(row).read_bytes() == photo
    assert (row.status, row.reason, row.sha256) == (Status.KEPT, Reason.OK, sha256(photo))
    assert (row.width, row.height, row.mime, row.extension) == (60, 50, "image/jpeg", "jpg")
    assert (row.url, row.source, row.query, row.rank) == (site.url + "/1.bin", "list", "cat", 0)
    assert (row.page_url, row.license, row.author) == ("https://example.org/page", "CC BY 4.0", "Ann")
    assert (row.license_url, row.attribution) == ("https://example.org/license", "by Ann")
    assert row.fetched_at
    assert source.closed


def test_every_attempt_is_written_down_with_its_reason(make_dataset, settings, site, list_source, make_photo, fill):
    dataset = make_dataset("cat", "dog")
    photo = make_photo(1)
    addresses = {
        Reason.OK: site.serve("/ok", photo),
        Reason.EMPTY: site.serve("/empty", b""),
        Reason.NOT_AN_IMAGE: site.serve("/text", b"hello"),
        Reason.UNSUPPORTED_TYPE: site.serve("/svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        Reason.TRUNCATED: site.serve("/half", photo[: len(photo) // 2]),
        Reason.TOO_SMALL: site.serve("/small", make_photo(3, size=(16, 16))),
        Reason.NOT_FOUND: site.url + "/nowhere",
        Reason.BAD_URL: "no address",
        Reason.REFUSED_ADDRESS: "http://10.0.0.1/a.png",
    }
    source = list_source({"cat": list(addresses.values()), "dog": fill("dog", 1)})
    collect(dataset, [source], 50, settings, silent)
    rows = {row.url: row for row in dataset.manifest.attempts("cat")}
    assert {rows[url].reason: url for url in addresses.values()} == addresses
    assert {row.status for row in rows.values() if row.reason != Reason.OK} == {Status.REJECTED}


def test_the_same_bytes_are_kept_once_a_class(make_dataset, settings, site, list_source, make_photo):
    dataset = make_dataset("cat", "dog")
    urls = [site.serve(f"/{n}", make_photo(7)) for n in range(2)]
    urls += [url.replace("127.0.0.1", "localhost") for url in urls]
    summary = collect(dataset, [list_source({"cat": urls, "dog": urls})], 50, settings, silent)
    assert summary.kept == {"cat": 1, "dog": 1}
    reasons = [row.reason for row in dataset.manifest.attempts("cat")]
    assert sorted(reasons) == [Reason.DUPLICATE] * 3 + [Reason.OK]
    assert files_of(dataset, "cat") == {f"{sha256(make_photo(7))}.png"}


def test_a_copy_written_down_before_a_kill_does_not_cost_the_picture_it_is_a_copy_of(
    make_dataset, settings, site, list_source, make_photo
):
    dataset = make_dataset("cat", "dog")
    first, second, other = (site.serve(f"/{n}", make_photo(seed)) for n, seed in enumerate((7, 7, 8)))
    digest = sha256(make_photo(7))
    dataset.manifest.add([Attempt(second, "cat", Status.REJECTED, Reason.DUPLICATE, sha256=digest)])
    collect(dataset, [list_source({"cat": [first, second], "dog": [other]})], 5, settings, silent)
    assert [(row.url, row.sha256) for row in dataset.manifest.kept("cat")] == [(first, digest)]


def test_a_picture_cut_short_by_a_power_cut_is_written_again(make_dataset, settings, list_source, fill):
    dataset = make_dataset("cat", "dog")
    source = list_source({"cat": fill("cat", 1), "dog": fill("dog", 1, seed=50)})
    collect(dataset, [source], 1, settings, silent)
    row = dataset.manifest.kept("cat")[0]
    dataset.image_path(row).write_bytes(b"")
    dataset.manifest.remove([row])
    collect(dataset, [source], 2, settings, silent)
    assert sha256(dataset.image_path(row).read_bytes()) == row.sha256


def test_a_class_is_filled_in_the_order_of_the_sources(make_dataset, settings, list_source, fill):
    dataset = make_dataset("cat", "dog")
    first = list_source({"cat": fill("cat", 3), "dog": fill("dog", 9)}, name="first")
    second = list_source({"cat": fill("more", 9, seed=100)}, name="second")
    summary = collect(dataset, [first, second], 5, settings, silent)
    assert summary.kept == {"cat": 5, "dog": 5}
    assert [row.source for row in dataset.manifest.kept("cat")].count("first") == 3
    assert second.asked == ["cat"]


def test_no_more_is_looked_for_than_needed(make_dataset, settings, list_source, fill):
    dataset = make_dataset("cat", "dog")
    source = list_source({"cat": fill("cat", 30), "dog": fill("dog", 30)})
    collect(dataset, [source], 4, settings, silent)
    assert source.yielded == 8
    assert len(dataset.manifest.attempts()) == 8


def test_a_rerun_with_everything_there_asks_nothing(make_dataset, settings, site, list_source, fill):
    dataset = make_dataset("cat", "dog")
    source = list_source({"cat": fill("cat", 8), "dog": fill("dog", 2)})
    collect(dataset, [source], 5, settings, silent)
    asked = site.asked.copy()
    again = list_source(source.addresses)
    assert collect(dataset, [again], 5, settings, silent).kept == {"cat": 5, "dog": 2}
    assert again.asked == []
    assert site.asked == asked


def test_asking_for_more_goes_on_without_fetching_twice(make_dataset, settings, site, list_source, fill):
    dataset = make_dataset("cat", "dog")
    source = list_source({"cat": fill("cat", 8), "dog": fill("dog", 8)})
    collect(dataset, [source], 3, settings, silent)
    assert collect(dataset, [source], 6, settings, silent).kept == {"cat": 6, "dog": 6}
    assert set(site.asked.values()) == {1}


def test_what_failed_is_tried_again_and_what_was_turned_away_is_not(
    make_dataset, settings, site, list_source, make_photo, fill
):
    dataset = make_dataset("cat", "dog")
    flaky, text = site.serve("/flaky", b"", status=403), site.serve("/text", b"hello")
    source = list_source({"cat": [flaky, text, *fill("cat", 1)], "dog": fill("dog", 1)})
    collect(dataset, [source], 5, settings, silent)
    site.serve("/flaky", make_photo(50))
    assert collect(dataset, [source], 5, settings, silent).kept == {"cat": 2, "dog": 1}
    assert (site.asked["/flaky"], site.asked["/text"]) == (2, 1)
    assert source.asked == ["cat", "dog", "cat"]


def test_a_source_that_costs_nothing_is_asked_every_time(make_dataset, settings, class_folders, make_photo):
    dataset = make_dataset("cat", "dog")
    folder = class_folders(cat=2, dog=2)
    collect(dataset, [FolderSource(folder)], 9, settings, silent)
    (folder / "cat" / "new.png").write_bytes(make_photo(99))
    assert collect(dataset, [FolderSource(folder)], 9, settings, silent).kept == {"cat": 3, "dog": 2}


def test_a_class_without_pictures_is_an_error_that_loses_nothing(make_dataset, settings, list_source, fill):
    dataset = make_dataset("cat", "zebra")
    source = list_source({"cat": fill("cat", 3)}, error=NoResults("list has nothing more", "Try something else"))
    with pytest.raises(SourceError) as caught:
        collect(dataset, [source], 5, settings, silent)
    assert str(caught.value) == "no pictures for 'zebra': list has nothing more. Try something else"
    assert len(dataset.manifest.kept("cat")) == 3


def test_an_error_names_the_commonest_reason(make_dataset, settings, site, list_source, fill):
    dataset = make_dataset("cat", "dog")
    bad = [site.serve("/a", b"x"), site.serve("/b", b"y"), site.serve("/c", b"")]
    with pytest.raises(SourceError) as caught:
        collect(dataset, [list_source({"cat": bad, "dog": fill("dog", 1)})], 5, settings, silent)
    assert "no pictures for 'cat': 3 found by list, none usable, mostly: not a picture (2)" in str(caught.value)


def test_classes_with_the_same_cause_are_named_together(make_dataset, settings, list_source):
    names = [f"class{n}" for n in range(9)]
    source = list_source({}, error=Unavailable("the site is down", "Try later"))
    with pytest.raises(SourceError) as caught:
        collect(make_dataset(*names), [source], 5, settings, silent)
    shown = "'class0', 'class1', 'class2', 'class3', 'class4' and 4 more"
    assert str(caught.value) == f"no pictures for {shown}: the site is down. Try later"
    assert len(source.asked) == 1


@pytest.mark.parametrize("error", [Unavailable("the site is down"), LayoutChanged("the site looks different")])
def test_a_source_that_fails_costs_only_its_own_pictures(make_dataset, settings, list_source, fill, error):
    dataset = make_dataset("cat", "dog")
    failing = list_source({"cat": fill("cat", 2), "dog": fill("dog", 1)}, name="failing", error=error)
    other = list_source({"cat": fill("cat2", 3, seed=50), "dog": fill("dog2", 3, seed=80)}, name="other")
    summary = collect(dataset, [failing, other], 9, settings, silent)
    assert summary.kept["cat"] == 5
    assert f"cat: {error}" in summary.problems
    assert not {search for search in dataset.manifest.finished_searches() if search[1] == "failing"}


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    make_dataset, settings, list_source, fill, monkeypatch
):
    dataset = make_dataset("cat", "dog")
    source = list_source({"cat": fill("cat", 6), "dog": fill("dog", 6, seed=50)})
    written, replace = [], Path.replace

    def rename(part: Path, target: Path) -> Path:
        written.append(target)
        if len(written) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", rename)
    with pytest.raises(TellapartError, match=r"No space left on device\. Make room on the disk") as caught:
        collect(dataset, [source], 9, settings, silent)
    assert "\n" not in str(caught.value)
    assert not list(dataset.root.rglob(".part-*"))
    assert all(dataset.image_path(row).exists() for row in dataset.manifest.kept())
    monkeypatch.undo()
    assert collect(dataset, [source], 9, settings, silent).kept == {"cat": 6, "dog": 6}


def test_progress_counts_what_is_kept_and_what_is_not(make_dataset, settings, site, list_source, fill):
    reports: list[Progress] = []
    source = list_source({"cat": [*fill("cat", 3), site.serve("/text", b"hello")], "dog": fill("dog", 1)})
    collect(make_dataset("cat", "dog"), [source], 5, settings, reports.append)
    last = [report for report in reports if report.finished and report.stage == "collect cat"]
    assert [(r.done, r.total, r.counts["kept"], r.counts["rejected"]) for r in last] == [(3, 5, 3, 1)]
    assert last[0].note == "not taken: 1 not a picture"


PROGRAM = """
import sys
from pathlib import Path
from scraping.collect import collect
from scraping.source import Candidate
from tellapart.dataset import Dataset
from tellapart.progress import silent
from tellapart.settings import Settings

class Source:
    name, local, remembered = "list", True, True
    def search(self, class_name, query):
        for rank in range(30):
            yield Candidate(f"{sys.argv[2]}/{class_name.slug}/{rank}.png", self.name, query, rank)
    def close(self): pass

root = Path(sys.argv[1])
collect(Dataset.open(root), [Source()], 30, Settings(home=root), silent)
"""


@pytest.mark.parametrize("moment", [1, 17, 45])
def test_a_killed_run_goes_on_where_it_was(make_dataset, settings, site, list_source, make_photo, moment):
    dataset = make_dataset("cat", "dog")
    paths = [f"/{slug}/{n}.png" for slug in ("cat", "dog") for n in range(30)]

    def answer(path: str, seed: int):
        def give(_: object) -> Response:
            if sum(site.asked.values()) > moment:
                site.release.wait(120)
            return Response(make_photo(seed))

        return give

    addresses = [site.on(path, answer(path, seed)) for seed, path in enumerate(paths)]
    arguments = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(dataset.root), site.url]
    with subprocess.Popen(arguments, cwd=REPOSITORY) as process:
        wait_until(lambda: len(dataset.manifest.kept()) >= moment - 1 and sum(site.asked.values()) > moment)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = dataset.manifest.kept()
    assert all(sha256(dataset.image_path(row).read_bytes()) == row.sha256 for row in kept)

    site.release.set()
    asked = site.asked.copy()
    source = list_source({"cat": addresses[:30], "dog": addresses[30:]})
    assert collect(dataset, [source], 30, settings, silent).kept == {"cat": 30, "dog": 30}
    settled = {row.url.removeprefix(site.url) for row in kept}
    assert all(site.asked[path] == asked[path] for path in settled)


def wait_until(condition, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the run did not come that far"
        time.sleep(0.01)


def test_collecting_never_loads_torch():
    program = "import sys, scraping.collect, scraping.sources; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0


def test_text_that_no_file_takes_costs_no_picture(make_dataset, settings, site, list_source, make_photo):
    dataset = make_dataset("cat", "dog")
    half = "\ud83d"
    source = list_source(
        {"cat": [site.serve("/1", make_photo(1)), half], "dog": [site.serve("/2", make_photo(2))]},
        author=f"Ann {half}",
        attribution="Zo\u00eb \U0001f600",
    )
    assert collect(dataset, [source], 5, settings, silent).kept == {"cat": 1, "dog": 1}
    kept, turned_away = dataset.manifest.attempts("cat")
    assert (kept.author, kept.attribution) == ("Ann ?", "Zo\u00eb \U0001f600")
    assert (turned_away.url, turned_away.reason) == ("?", Reason.BAD_URL)


def test_what_failed_is_tried_once_a_run(make_dataset, settings, site, list_source, make_photo):
    dataset = make_dataset("cat", "dog")
    forbidden = site.on("/forbidden", lambda _: Response(status=403))
    addresses = {"cat": [forbidden, site.serve("/1", make_photo(1))], "dog": [site.serve("/2", make_photo(2))]}
    for run in (1, 2):
        sources = [list_source(addresses, name=name) for name in ("one", "two")]
        assert collect(dataset, sources, 5, settings, silent).kept == {"cat": 1, "dog": 1}
        assert site.asked["/forbidden"] == run
    assert (site.asked["/1"], site.asked["/2"]) == (1, 1)


def test_what_came_before_a_failure_is_taken_and_nothing_is_asked_twice(make_dataset, settings, fill, list_source):
    dataset = make_dataset("cat", "dog")
    broken = list_source({c: fill(c, 9, seed=n) for c, n in (("cat", 0), ("dog", 50))}, error=LayoutChanged("it broke"))
    summary = collect(dataset, [broken], 20, settings, silent)
    assert summary.kept == {"cat": 9, "dog": 9}
    assert summary.problems == ("cat: it broke", "dog: it broke")
