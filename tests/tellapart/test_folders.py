import os
import shutil
from pathlib import Path

import pytest

from tellapart import crashes, folders
from tellapart.actions import apply
from tellapart.dataset import Dataset
from tellapart.decisions import Action, Decisions
from tellapart.errors import DataError, MissingError
from tellapart.folders import open_dataset, open_folder
from tellapart.images import DEFAULT_LIMITS
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status
from tellapart.settings import Settings


@pytest.fixture
def pets(tmp_path, make_photo):
    """A folder of two cats and two dogs."""
    folder = tmp_path / "pets"
    for name, seeds in {"cat": (1, 2), "dog": (3, 4)}.items():
        (folder / name).mkdir(parents=True)
        for seed in seeds:
            (folder / name / f"{seed}.png").write_bytes(make_photo(seed))
    return folder


@pytest.fixture
def scan(tmp_path):
    return lambda folder: open_folder(folder, tmp_path / "home")


def rows(dataset):
    """(class, file name) -> reason of every row."""
    return {(a.class_slug, Path(a.url).name): a.reason for a in dataset.manifest.attempts()}


def listing(folder):
    return sorted((str(p), p.stat().st_mtime_ns) for p in [folder, *folder.rglob("*")])


def test_class_folders_become_a_data_set(pets, scan):
    dataset = scan(pets)
    assert [c.name for c in dataset.classes] == ["cat", "dog"]
    assert (dataset.name, dataset.folder, dataset.sources) == ("pets", pets, ("folder",))
    samples = dataset.samples()
    assert [(s.path, s.class_index, s.split) for s in samples] == [
        (pets / "cat" / "1.png", 0, ""),
        (pets / "cat" / "2.png", 0, ""),
        (pets / "dog" / "3.png", 1, ""),
        (pets / "dog" / "4.png", 1, ""),
    ]
    row = dataset.manifest.kept("cat")[0]
    assert (row.url, row.source, row.mime, row.width) == ((pets / "cat/1.png").as_uri(), "folder", "image/png", 96)
    assert Dataset.open(dataset.root) == dataset


def test_nothing_is_written_into_the_folder(pets, scan):
    before = listing(pets)
    scan(pets)
    assert listing(pets) == before


def test_given_splits_are_read(tmp_path, scan, make_photo):
    for i, place in enumerate(["train/cat", "train/dog", "validation/cat", "test/dog", "val/dog"]):
        (tmp_path / "set" / place).mkdir(parents=True)
        (tmp_path / "set" / place / "x.png").write_bytes(make_photo(i))
    (tmp_path / "set" / "LICENSE").write_text("free")
    dataset = scan(tmp_path / "set")
    assert [c.name for c in dataset.classes] == ["cat", "dog"]
    given = sorted((a.class_slug, a.given_split) for a in dataset.manifest.kept())
    assert given == [("cat", "train"), ("cat", "val"), ("dog", "test"), ("dog", "train"), ("dog", "val")]


def test_classes_may_be_called_like_splits(tmp_path, scan, make_photo):
    for i, name in enumerate(["train", "bus"]):
        (tmp_path / "vehicles" / name).mkdir(parents=True)
        (tmp_path / "vehicles" / name / "x.png").write_bytes(make_photo(i))
    (tmp_path / "vehicles" / "train" / "steam").mkdir()
    (tmp_path / "vehicles" / "train" / "steam" / "y.png").write_bytes(make_photo(9))
    dataset = scan(tmp_path / "vehicles")
    assert [c.name for c in dataset.classes] == ["bus", "train"]
    assert {a.given_split for a in dataset.manifest.kept()} == {""}


def test_files_that_cannot_be_used_are_counted_with_their_reason(pets, scan, make_photo, make_picture):
    bad = {
        "empty.jpg": b"",
        "text.jpg": b"hello",
        "drawing.svg": b"<svg/>",
        "cut.png": make_photo(9)[:300],
        "tiny.png": make_picture(size=(8, 8)),
        "again.png": make_photo(1),
    }
    for name, data in bad.items():
        (pets / "cat" / name).write_bytes(data)
    with (pets / "cat" / "huge.jpg").open("wb") as file:
        file.truncate(DEFAULT_LIMITS.max_bytes * 1000)
    (pets / "cat" / "gone.png").symlink_to(pets / "nowhere.png")
    (pets / "cat" / "loop.png").symlink_to(pets / "cat" / "loop.png")
    os.mkfifo(pets / "cat" / "pipe.png")
    dataset = scan(pets)
    assert rows(dataset) == {
        ("cat", "1.png"): Reason.OK,
        ("cat", "2.png"): Reason.OK,
        ("dog", "3.png"): Reason.OK,
        ("dog", "4.png"): Reason.OK,
        ("cat", "empty.jpg"): Reason.EMPTY,
        ("cat", "text.jpg"): Reason.NOT_AN_IMAGE,
        ("cat", "drawing.svg"): Reason.UNSUPPORTED_TYPE,
        ("cat", "cut.png"): Reason.TRUNCATED,
        ("cat", "tiny.png"): Reason.TOO_SMALL,
        ("cat", "again.png"): Reason.DUPLICATE,
        ("cat", "huge.jpg"): Reason.TOO_LARGE,
        ("cat", "gone.png"): Reason.UNREADABLE,
        ("cat", "loop.png"): Reason.UNREADABLE,
        ("cat", "pipe.png"): Reason.UNREADABLE,
    }
    assert {a.status for a in dataset.manifest.attempts() if a.reason != Reason.OK} == {Status.REJECTED}
    before = dataset.manifest.attempts()
    assert scan(pets).manifest.attempts() == before


def test_a_file_that_may_not_be_read_is_counted(pets, scan, monkeypatch):
    real = Path.open

    def refuse(self, *args, **kwargs):
        if self.name == "1.png":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    row = scan(pets).manifest.attempts("cat")[0]
    assert (row.reason, row.detail) == (Reason.UNREADABLE, "Permission denied")


def test_no_more_of_a_file_is_read_than_shows_that_it_is_too_large(pets, scan, monkeypatch):
    (pets / "cat" / "huge.jpg").write_bytes(b"\xff\xd8\xff" + b"\0" * 100_000)
    monkeypatch.setattr(folders, "DEFAULT_LIMITS", type(DEFAULT_LIMITS)(max_bytes=50_000))
    sizes = []

    def look(data):
        sizes.append(len(data))
        return real(data, folders.DEFAULT_LIMITS)

    real = crashes.inspect
    monkeypatch.setattr(crashes, "inspect", look)
    assert rows(scan(pets))[("cat", "huge.jpg")] == Reason.TOO_LARGE
    assert max(sizes) == 50_001


def test_hidden_files_and_files_outside_class_folders_are_passed_over(pets, scan):
    for name in ("README.md", "LICENSE", ".hidden", "cat/.DS_Store", "dog/._3.png"):
        (pets / name).write_text("x")
    for folder in (".git", "__MACOSX", "cat/.cache"):
        (pets / folder).mkdir()
    (pets / "cat" / ".cache" / "x.png").write_text("x")
    dataset = scan(pets)
    assert len(dataset.manifest.attempts()) == 4
    assert [c.name for c in dataset.classes] == ["cat", "dog"]


def test_pictures_in_folders_below_a_class_count(pets, scan, make_photo):
    (pets / "cat" / "more" / "deep").mkdir(parents=True)
    (pets / "cat" / "more" / "deep" / "имя файла #1?.png").write_bytes(make_photo(7))
    samples = scan(pets).samples()
    assert any(s.path.name == "имя файла #1?.png" and s.path.exists() for s in samples)


def test_a_file_name_that_is_no_utf8_finds_its_file(pets, scan, make_photo):
    path = pets / "dog" / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(make_photo(8))
    assert path in [s.path for s in scan(pets).samples()]


def test_links_inside_the_folder_are_followed_and_those_that_lead_outside_are_not(pets, scan, tmp_path, make_photo):
    (tmp_path / "secret.png").write_bytes(make_photo(8))
    (pets / "dog" / "outside.png").symlink_to(tmp_path / "secret.png")
    (pets / "dog" / "inside.png").symlink_to(pets / "cat" / "1.png")
    dataset = scan(pets)
    assert rows(dataset)[("dog", "outside.png")] == Reason.UNREADABLE
    assert rows(dataset)[("dog", "inside.png")] == Reason.OK
    (pets / "bird").symlink_to(tmp_path)
    with pytest.raises(DataError, match="is a link that leads outside"):
        scan(pets)


def test_an_unchanged_picture_is_not_decoded_again(pets, scan, monkeypatch, make_photo):
    first = scan(pets).manifest.attempts()
    decoded = []

    def look(data):
        decoded.append(data)
        return real(data)

    real = crashes.inspect
    monkeypatch.setattr(crashes, "inspect", look)
    assert scan(pets).manifest.attempts() == first
    assert decoded == []
    (pets / "cat" / "1.png").rename(pets / "cat" / "renamed.png")
    (pets / "dog" / "3.png").write_bytes(make_photo(5))
    dataset = scan(pets)
    assert decoded == [make_photo(5)]
    assert set(rows(dataset)) == {("cat", "2.png"), ("cat", "renamed.png"), ("dog", "3.png"), ("dog", "4.png")}


def test_what_curation_decided_lasts_until_the_bytes_change(pets, scan, make_photo):
    manifest = scan(pets).manifest
    cat, other, *_ = manifest.attempts()
    manifest.assign("split", {cat.sha256: "val"})
    manifest.set_status([other], Status.QUARANTINED, Reason.CONFLICT)
    cat, other, *_ = scan(pets).manifest.attempts()
    assert (cat.split, other.reason) == ("val", Reason.CONFLICT)
    (pets / "cat" / "1.png").write_bytes(make_photo(5))
    assert scan(pets).manifest.attempts()[0].split == ""


def test_what_another_process_found_out_meanwhile_is_not_written_over(pets, scan, monkeypatch):
    """It opens the folder and curates while this one still decodes the first picture."""
    real = crashes.inspect

    def look(data):
        monkeypatch.setattr(crashes, "inspect", real)
        other = scan(pets).manifest
        other.assign("flags", {a.sha256: "{}" for a in other.kept()})
        return real(data)

    monkeypatch.setattr(folders, "_workers", lambda: 1)
    monkeypatch.setattr(crashes, "inspect", look)
    assert [a.flags for a in scan(pets).manifest.kept()] == ["{}"] * 4


def test_a_moved_picture_stays_with_what_is_known_of_it_while_its_file_is_there(pets, scan):
    dataset = scan(pets)
    digest = dataset.manifest.kept("cat")[0].sha256
    apply(dataset, [Action("move", "cat", digest, "dog")])
    dataset.manifest.assign("flags", {digest: "{}"})
    assert [a.flags for a in scan(pets).manifest.kept("dog") if a.sha256 == digest] == ["{}"]
    (pets / "cat" / "1.png").unlink()
    assert digest not in [a.sha256 for a in scan(pets).manifest.attempts()]


def test_the_second_copy_is_kept_once_the_first_is_gone(pets, scan, make_photo):
    (pets / "cat" / "0.png").write_bytes(make_photo(1))
    assert rows(scan(pets))[("cat", "1.png")] == Reason.DUPLICATE
    (pets / "cat" / "0.png").unlink()
    assert rows(scan(pets))[("cat", "1.png")] == Reason.OK


def test_copies_in_two_classes_or_two_splits_are_left_to_curation(tmp_path, scan, make_photo):
    for place in ("train/cat", "train/dog", "test/cat"):
        (tmp_path / "set" / place).mkdir(parents=True)
        (tmp_path / "set" / place / "x.png").write_bytes(make_photo(1))
    assert {a.reason for a in scan(tmp_path / "set").manifest.attempts()} == {Reason.OK}


def test_classes_come_and_go_with_their_folders(pets, scan, make_photo):
    scan(pets)
    (pets / "bird").mkdir()
    (pets / "bird" / "5.png").write_bytes(make_photo(5))
    assert [c.name for c in scan(pets).classes] == ["bird", "cat", "dog"]
    shutil.rmtree(pets / "cat")
    dataset = scan(pets)
    assert [c.name for c in dataset.classes] == ["bird", "dog"]
    assert {a.class_slug for a in dataset.manifest.attempts()} == {"bird", "dog"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "holds 0 class folders"),
        (["cat"], "holds 1 class folder,"),
        (["Cat", "cat"], "are the same once written as a folder name"),
        (["cat", "a<b>"], "contains"),
        (["cat", os.fsdecode(b"d\xff")], "contains"),
    ],
)
def test_folders_that_are_no_data_set(tmp_path, scan, names, words):
    (tmp_path / "set").mkdir()
    for name in names:
        (tmp_path / "set" / name).mkdir()
    with pytest.raises(DataError, match=words) as caught:
        scan(tmp_path / "set")
    assert str(caught.value).isprintable()


def test_a_scan_that_was_killed_goes_on(pets, scan, monkeypatch):
    def die(data):
        raise KeyboardInterrupt

    monkeypatch.setattr(crashes, "inspect", die)
    with pytest.raises(KeyboardInterrupt):
        scan(pets)
    monkeypatch.undo()
    assert len(scan(pets).samples()) == 4


def test_decisions_outlive_the_caches(pets, scan, tmp_path):
    dataset = scan(pets)
    Decisions(dataset.manifest).record([Action("keep", "cat", "a" * 64)])
    assert dataset.cache.is_relative_to(tmp_path / "home" / "cache")
    shutil.rmtree(tmp_path / "home" / "cache")
    assert [a.action for a in Decisions(scan(pets).manifest).history()] == ["keep"]


def test_what_an_earlier_version_kept_among_the_caches_is_carried_over(pets, scan, tmp_path):
    now = scan(pets).root
    Decisions(scan(pets).manifest).record([Action("keep", "cat", "a" * 64)])
    earlier = tmp_path / "home" / "cache" / "folders" / now.name
    shutil.rmtree(earlier)
    now.rename(earlier)
    (earlier / "cache").mkdir()
    assert [a.action for a in Decisions(scan(pets).manifest).history()] == ["keep"]
    assert [p.name for p in earlier.iterdir()] == ["cache"]
    assert scan(pets).cache == earlier / "cache"


def test_the_scan_reports_its_progress(pets, tmp_path):
    (pets / "cat" / "bad.png").write_text("x")
    reports = []
    open_folder(pets, tmp_path / "home", reports.append)
    assert (reports[-1].stage, reports[-1].done, reports[-1].total) == ("read pictures", 5, 5)
    assert reports[-1].counts == {"kept": 4, "rejected": 1}
    assert reports[-1].note == "not taken: 1 not a picture"
    assert reports[-1].finished


def test_a_data_set_is_found_by_path_by_name_and_as_a_plain_folder(pets, tmp_path, monkeypatch):
    settings = Settings(home=tmp_path / "home")
    Dataset.create(settings.datasets / "demo", "demo", parse_class_names(["a", "b"]), [])
    assert open_dataset("demo", settings).name == "demo"
    assert open_dataset(str(settings.datasets / "demo"), settings).name == "demo"
    monkeypatch.chdir(tmp_path)
    assert open_dataset("pets", settings).folder == pets
    assert open_dataset(str(pets), settings).folder == pets
    (tmp_path / "demo").mkdir()
    assert open_dataset("demo", settings).root == settings.datasets / "demo"


@pytest.mark.parametrize("where", ["nothing", "", "no/where", "x" * 5000, "nul\0", "../..x"])
def test_a_data_set_that_is_not_there_says_where_it_was_looked_for(tmp_path, where):
    with pytest.raises(MissingError) as caught:
        open_dataset(where, Settings(home=tmp_path))
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    if where == "nothing":
        assert str(tmp_path / "datasets" / "nothing") in str(caught.value)


def test_a_file_is_said_to_be_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").write_text("cat")
    with pytest.raises(MissingError, match=r"^'afile' is a file and no data set\. Give a data set's name, its folder"):
        open_dataset("afile", Settings(home=tmp_path))
