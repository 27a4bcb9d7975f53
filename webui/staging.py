"""Decisions about pictures that a person has made and not yet applied; they survive reloads and restarts."""

from collections.abc import Iterable, Sequence

from sqlalchemy import String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from tellapart.decisions import Action
from webui.database import Base, Database

MAX_STAGED = 20_000


class StagedDecision(Base):
    """What is to become of one picture of one class of one data set."""

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

    def __init__(self, database: Database) -> None:
        self._database = database

    def stage(self, dataset: str, actions: Iterable[Action]) -> None:
        """Add decisions; a later one about the same picture replaces the earlier."""
        with self._database.writing() as session:
            for a in actions:
                session.merge(
                    StagedDecision(
                        dataset=dataset,
                        class_slug=a.class_slug,
                        sha256=a.sha256,
                        action=a.action,
                        to_slug=a.to_slug,
                    )
                )

    def unstage(self, dataset: str, pictures: Sequence[tuple[str, str]] | None = None) -> None:
        """Forget the decisions about pictures, as (class slug, sha256); None for all of the data set."""
        with self._database.writing() as session:
            if pictures is None:
                session.execute(delete(StagedDecision).where(StagedDecision.dataset == dataset))
            for class_slug, sha256 in pictures or ():
                staged = session.get(StagedDecision, (dataset, class_slug, sha256))
                if staged:
                    session.delete(staged)

    def staged(self, dataset: str) -> list[Action]:
        """What is staged for a data set, by class and picture."""
        wanted = select(StagedDecision).where(StagedDecision.dataset == dataset)
        ordered = wanted.order_by(StagedDecision.class_slug, StagedDecision.sha256)
        with self._database.reading() as session:
            return [row.as_action() for row in session.scalars(ordered)]
