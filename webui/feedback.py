"""What people said about answers: right or wrong, and what the right class is."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import String, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from tellapart.files import readable_disk_errors
from webui.database import Base, Database, Moment
from webui.records import Entry


class Feedback(Base):
    """What was said about one answer; saying something else later takes its place.

    Attributes:
        record_id: the result it is about.
        sha256: of the picture as it was sent.
        classifier, version: what answered; said: the class it gave, with `confidence`.
        right: whether that was right; right_class: what it shows otherwise, "" for none of the classes.
        kept: whether the person agreed that the picture is kept.
    """

    __tablename__ = "feedback"
    record_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    picture_name: Mapped[str] = mapped_column(Text)
    classifier: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[str] = mapped_column(String(64))
    said: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    right: Mapped[bool]
    right_class: Mapped[str] = mapped_column(Text, default="")
    kept: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(Moment)


class FeedbackBook:
    """All that was said, kept until it is deleted."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database, self._folder = database, folder

    def tell(self, entry: Entry, right: bool, right_class: str = "", picture: Path | None = None) -> None:
        """Write down what was said about a result; `picture` is its preview, given only if it may be kept.

        Raises:
            TellapartError: it cannot be written.
        """
        if entry.result is None:
            raise ValueError("feedback is about a result")
        classifier, _, version = entry.result.model.partition(":")
        said = Feedback(
            record_id=entry.id,
            sha256=entry.sha256,
            picture_name=entry.name if picture else "",
            classifier=classifier,
            version=version,
            said="" if entry.result.none_of_these else entry.result.top,
            confidence=entry.result.confidence,
            right=right,
            right_class=right_class,
            kept=picture is not None,
            created=datetime.now(UTC),
        )
        self._keep(picture, entry.sha256)
        with self._database.exclusive() as session:  # or two that add the same would each find it missing
            session.merge(said)
        if picture is None:
            self._drop_unwanted(entry.sha256)

    def about(self, record_id: str) -> Feedback | None:
        """What was said about a result, None where nothing was."""
        with self._database.reading() as session:
            return session.get(Feedback, record_id)

    def wrong(self, classifier: str) -> Sequence[Feedback]:
        """The answers of a classifier that people said are wrong, newest first."""
        query = select(Feedback).where(Feedback.classifier == classifier, Feedback.right.is_(False))
        with self._database.reading() as session:
            return session.scalars(query.order_by(Feedback.created.desc())).all()

    def picture(self, feedback: Feedback) -> Path | None:
        """The picture it is about, None where it was not to be kept."""
        path = self._path(feedback.sha256)
        return path if feedback.kept and path.is_file() else None

    def forget(self, classifier: str) -> None:
        """Delete all that was said about a classifier."""
        with self._database.writing() as session:
            digests = set(session.scalars(select(Feedback.sha256).where(Feedback.classifier == classifier)))
            session.execute(delete(Feedback).where(Feedback.classifier == classifier))
        for digest in digests:
            self._drop_unwanted(digest)

    def _keep(self, picture: Path | None, digest: str) -> None:
        if picture is None:
            return
        with readable_disk_errors(self._folder), suppress(FileNotFoundError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(picture, self._path(digest))

    def _drop_unwanted(self, digest: str) -> None:
        """Delete a picture that nobody agrees to any more."""
        query = select(Feedback.record_id).where(Feedback.sha256 == digest, Feedback.kept.is_(True)).limit(1)
        with self._database.reading() as session:
            wanted = session.scalar(query)
        if wanted is None:
            self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.jpg"
