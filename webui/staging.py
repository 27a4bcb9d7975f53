"""Decisions about pictures that a person has made and not yet applied; they survive reloads and restarts."""

import hashlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Select, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.errors import Busy
from tellapart.files import readable_disk_errors
from webui.database import Base, Database

MAX_STAGED = 20_000  # at once; in all there is one at most for each picture of a data set
_TURN_SECONDS = 20.0


class StagedDecision(Base):
    """What is to become of one picture of one class of one data set; `dataset` is `_key`'s, as names may be shared."""

    __tablename__ = "staged_decision"
    dataset: Mapped[str] = mapped_column(String(80), primary_key=True)
    class_slug: Mapped[str] = mapped_column(String(120), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    action: Mapped[str] = mapped_column(String(8))
    to_slug: Mapped[str] = mapped_column(String(120), default="")

    def as_action(self) -> Action:
        """The same as the log of decisions takes it."""
        return Action(self.action, self.class_slug, self.sha256, self.to_slug, why="looked at", by="person")


class Staging:
    """The staged decisions of all data sets."""

    def __init__(self, database: Database, folder: Path) -> None:
        """`folder` is for lock files."""
        self._database, self._folder = database, folder

    @contextmanager
    def turn(self, dataset: Dataset) -> Generator[None, None, None]:
        """Carry out decisions about a data set alone: whoever else would waits, and then finds them carried out.

        Raises:
            Busy: it takes others long.
        """
        path = self._folder / f"decisions-{hashlib.sha256(_key(dataset).encode()).hexdigest()[:16]}"
        with readable_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with FileLock(path, timeout=_TURN_SECONDS):
                yield
        except Timeout:
            what = "other decisions about these pictures are being carried out"
            raise Busy(what, "Try again in a moment") from None

    def stage(self, dataset: Dataset, actions: Iterable[Action]) -> None:
        """Add decisions; a later one about the same picture replaces the earlier."""
        with self._database.exclusive() as session:  # or two that add the same would each find it missing
            for a in actions:
                session.merge(
                    StagedDecision(
                        dataset=_key(dataset),
                        class_slug=a.class_slug,
                        sha256=a.sha256,
                        action=a.action,
                        to_slug=a.to_slug,
                    )
                )

    def unstage(self, dataset: Dataset, pictures: Sequence[tuple[str, str]] | None = None) -> None:
        """Forget the decisions about pictures, as (class slug, sha256); None for all of the data set."""
        with self._database.writing() as session:
            if pictures is None:
                session.execute(delete(StagedDecision).where(StagedDecision.dataset == _key(dataset)))
            for class_slug, sha256 in pictures or ():
                staged = session.get(StagedDecision, (_key(dataset), class_slug, sha256))
                if staged:
                    session.delete(staged)

    def settle(self, dataset: Dataset, actions: Sequence[Action]) -> None:
        """Forget decisions that were carried out; one that came meanwhile, or was changed, still waits."""
        done = {(a.class_slug, a.sha256): (a.action, a.to_slug) for a in actions}
        with self._database.writing() as session:
            for row in session.scalars(_of(dataset)):
                if done.get((row.class_slug, row.sha256)) == (row.action, row.to_slug):
                    session.delete(row)

    def staged(self, dataset: Dataset) -> list[Action]:
        """What is staged for a data set, by class and picture."""
        ordered = _of(dataset).order_by(StagedDecision.class_slug, StagedDecision.sha256)
        with self._database.reading() as session:
            return [row.as_action() for row in session.scalars(ordered)]


def _of(dataset: Dataset) -> Select[StagedDecision]:
    return select(StagedDecision).where(StagedDecision.dataset == _key(dataset))


def _key(dataset: Dataset) -> str:
    """Which data set: its folder's name in the home; several plain folders may have the same name."""
    return f"{dataset.root.parent.name}/{dataset.root.name}"
