"""Plain folders of class folders read as data sets, and finding a data set by path or name.

FOLDER/cat/..., FOLDER/dog/...                     no splits given
FOLDER/train/cat/..., FOLDER/test/cat/...          splits given: train, val or validation, test
FOLDER/none/...                                    pictures of none of the classes; never a class

Nothing is written into such a folder. What is known of it, decisions and answers included, is kept under
HOME/folders and brought up to date each time it is opened; a picture whose bytes are known is not
decoded again. Derived data is in HOME/cache/folders, which may be deleted at any time.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tellapart.actions import moved_from
from tellapart.crashes import CrashGuard
from tellapart.dataset import FOLDERS, PATIENCE, Dataset
from tellapart.errors import DataError, MissingError, NoDataError, UsageError
from tellapart.files import held
from tellapart.folder_layout import FolderFile, read_layout
from tellapart.hardware import cpus
from tellapart.images import DEFAULT_LIMITS, sha256
from tellapart.manifest import Attempt, now
from tellapart.names import ClassName, check_name
from tellapart.pictures import Picture, Reason, Rejected, Status, in_words
from tellapart.progress import Report, Stage, silent
from tellapart.settings import Settings

SOURCE = "folder"
_BATCH = 256
_WHAT_TO_GIVE = "Give a data set's name, its folder, or a folder of class folders"


def open_dataset(where: str, settings: Settings, report: Report = silent) -> Dataset:
    """Open a data set by the path of its folder, by its name, or by the path of a plain folder.

    Raises:
        NoDataError: there is none; it says where it was looked for.
        DataError: it cannot be used as it is.
    """
    path, named = Path(where), _named(where, settings)
    try:
        for root in (path, *named):
            if (root / "dataset.json").is_file():
                return Dataset.open(root)
        if where and path.is_dir():
            return open_folder(path, settings.home, report)
    except OSError as error:
        raise NoDataError(f"{where[:200]!r} cannot be opened: {error.strerror}", "Check the path") from error
    if path.is_file():
        raise NoDataError(f"{where[:200]!r} is a file and no data set", _WHAT_TO_GIVE)
    places = " and at ".join(str(p) for p in (path.absolute(), *named))
    raise NoDataError(
        f"there is no data set {where[:200]!r}; looked for at {places}",
        _WHAT_TO_GIVE,
    )


def open_folder(path: Path, home: Path, report: Report = silent) -> Dataset:
    """Read a plain folder of class folders as a data set, without writing into it.

    Every file of a class folder gets a manifest row: kept, or rejected with its reason (not a
    picture, damaged, the same picture again, a link that leads outside). Hidden files are passed
    over, and so are files that stand in no class folder, such as a licence.

    Args:
        home: where the manifest is kept, under "folders".

    Raises:
        DataError: it has fewer than 2 class folders, or one whose name cannot be used.
    """
    folder = path.resolve()
    classes, files = read_layout(folder)
    digest = sha256(os.fsencode(folder))
    _carry_over(home / "cache" / FOLDERS / digest, home / FOLDERS / digest)
    dataset = _described(folder, home / FOLDERS / digest, classes)
    _scan(dataset, files, report)
    return dataset


def _named(where: str, settings: Settings) -> tuple[Path, ...]:
    try:
        return (settings.datasets / check_name(where),)
    except UsageError:
        return ()


def _carry_over(old: Path, new: Path) -> None:
    """Bring what was decided here from where earlier versions kept it, among what may be deleted."""
    if not (old / "manifest.sqlite").exists():
        return
    with held(old, PATIENCE):
        if (new / "manifest.sqlite").exists():
            return
        new.mkdir(parents=True, exist_ok=True)
        for name in ("manifest.sqlite-wal", "manifest.sqlite", "dataset.json"):
            if (old / name).exists():
                (old / name).replace(new / name)


def _described(folder: Path, root: Path, classes: tuple[ClassName, ...]) -> Dataset:
    """The data set of a folder, its description written anew where that has changed."""
    dataset = Dataset(root, folder.name or SOURCE, classes, (SOURCE,), folder)
    try:
        known = Dataset.open(root)
    except (MissingError, DataError):
        known = None
    if known == dataset:
        return known
    dataset.save()
    return dataset


def _scan(dataset: Dataset, files: list[FolderFile], report: Report) -> None:
    """Bring the manifest up to date with the files there are."""
    manifest = dataset.manifest
    old = {(a.class_slug, a.url): a for a in manifest.attempts()}
    known = {a.sha256: _picture(a) for a in old.values() if a.sha256}
    gone = dict(old)
    seen: set[tuple[str, str, str]] = set()
    waiting = iter(files)
    guard = CrashGuard(dataset.cache)
    turned_away: Counter[Reason] = Counter()
    with Stage(report, "read pictures", total=len(files)) as stage, ThreadPoolExecutor(_workers()) as pool:
        while batch := list(islice(waiting, _BATCH)):
            rows = pool.map(lambda file: _judge(file, dataset, old.get(file.key), known, guard), batch)
            checked = list(_without_duplicates(rows, seen, stage))
            read = [(old.get((row.class_slug, row.url)), row) for row in checked]
            manifest.change((before, row) for before, row in read if row != before)
            turned_away.update(row.reason for row in checked if row.status == Status.REJECTED)
            for row in checked:
                gone.pop((row.class_slug, row.url), None)
        if turned_away:
            stage.note(f"not taken: {in_words(turned_away)}")
    manifest.remove(a for a in gone.values() if not (slug := moved_from(a)) or (slug, a.url) in gone)


def _workers() -> int:
    return min(8, max(2, cpus()))


def _judge(
    file: FolderFile, dataset: Dataset, old: Attempt | None, known: Mapping[str, Picture], guard: CrashGuard
) -> Attempt:
    """The manifest row of a file; what curation decided stays while the bytes are the same."""
    row = Attempt(file.url, file.class_slug, Status.KEPT, Reason.OK, source=SOURCE, given_split=file.split)
    try:
        data = _read(file.path, dataset)
        digest = sha256(data) if len(data) <= DEFAULT_LIMITS.max_bytes else ""
        row = row.with_picture(known.get(digest) or guard.inspect(data))
    except Rejected as error:
        row = replace(row, status=Status.REJECTED, reason=error.reason, detail=error.what)
    if old is None or old.sha256 != row.sha256:
        return replace(row, fetched_at=now())
    if row.sha256 and old.status != Status.REJECTED:
        return replace(old, given_split=file.split)
    return replace(row, fetched_at=old.fetched_at)


def _read(path: Path, dataset: Dataset) -> bytes:
    """A file's bytes, no more than it takes to see that it is too large."""
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(dataset.folder or path):
            raise Rejected(Reason.UNREADABLE, "a link that leads outside the folder")
        if path.exists() and not path.is_file():
            raise Rejected(Reason.UNREADABLE, "not a regular file, or a folder that cannot be read")
        with path.open("rb") as file:
            return file.read(DEFAULT_LIMITS.max_bytes + 1)
    except OSError as error:
        raise Rejected(Reason.UNREADABLE, error.strerror or "cannot be read") from error
    except RuntimeError as error:  # what resolve() raises for links that go in a circle
        raise Rejected(Reason.UNREADABLE, "a link that leads to itself") from error


def _without_duplicates(rows: Iterable[Attempt], seen: set[tuple[str, str, str]], stage: Stage) -> Iterator[Attempt]:
    """Reject the later copies of a picture within one class and given split; the rest is curation's."""
    for row in rows:
        key = (row.class_slug, row.given_split, row.sha256)
        again = row.status != Status.REJECTED and key in seen
        seen.add(key)
        stage.advance(**{"rejected" if again or row.status == Status.REJECTED else "kept": 1})
        yield _as_duplicate(row) if again else row


def _as_duplicate(row: Attempt) -> Attempt:
    return replace(row, status=Status.REJECTED, reason=Reason.DUPLICATE, group_id="", split="")


def _picture(a: Attempt) -> Picture:
    return Picture(a.sha256, a.phash, a.mime, a.extension, a.width, a.height, a.bytes)
