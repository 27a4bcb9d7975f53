"""Links that show one result to whoever has them: kept as a digest, expiring, and revocable."""

import hashlib
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from tellapart.errors import UsageError
from tellapart.files import readable_disk_errors
from webui.database import Base, Database, Moment
from webui.records import Entry
from webui.shelf import modified

DAYS = (1, 7, 30)
MOST_OPEN = 20  # links of one result
_TOKEN_BYTES = 32
_LONGEST = 100
_UNFINISHED_SECONDS = 3600  # a link's picture is there a moment before the link


class Share(Base):
    """One link.

    Attributes:
        digest: sha256 of the token; the token itself is shown once and kept nowhere.
        record_id: the result it was made from.
        entry: that result as it was then, so that it outlives it.
        answered: when the classifier answered, ISO 8601.
    """

    __tablename__ = "shares"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    record_id: Mapped[str] = mapped_column(String(16), index=True)
    entry: Mapped[dict[str, Any]] = mapped_column(JSON)
    answered: Mapped[str] = mapped_column(String(40))
    created: Mapped[datetime] = mapped_column(Moment)
    expires: Mapped[datetime] = mapped_column(Moment, index=True)


class Shares:
    """The links there are. Revoked and expired ones are deleted, so all that is not there is the same."""

    def __init__(
        self, database: Database, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database, self._folder, self._clock = database, folder, clock

    def create(self, entry: Entry, answered: str, picture: Path | None, days: int) -> str:
        """A new link's token; `picture` is the preview to show, which holds nothing of the camera's data.

        Raises:
            UsageError: the result has as many as it may have.
            TellapartError: it cannot be kept.
        """
        if len(self.of_result(entry.id)) >= MOST_OPEN:
            raise UsageError(f"this result has {MOST_OPEN} links", "Take one of them back first")
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        digest, now = _digest(token), self._clock()
        self._forget(Share.expires <= now)
        self._keep_picture(picture, digest)
        share = Share(
            digest=digest,
            record_id=entry.id,
            entry=entry.model_dump(mode="json"),
            answered=answered,
            created=now,
            expires=now + timedelta(days=days),
        )
        with self._database.writing() as session:
            session.add(share)
        return token

    def find(self, token: str) -> Share | None:
        """The link with this token, None where there never was one or is none any more."""
        if len(token) > _LONGEST:
            return None
        query = select(Share).where(Share.digest == _digest(token), Share.expires > self._clock())
        with self._database.reading() as session:
            return session.scalar(query)

    def picture(self, share: Share) -> Path | None:
        """The picture of a link, None where there was none to keep."""
        path = self._picture(share.digest)
        return path if path.is_file() else None

    def of_result(self, record_id: str) -> list[Share]:
        """The links of a result that still open, newest first."""
        query = select(Share).where(Share.record_id == record_id, Share.expires > self._clock())
        with self._database.reading() as session:
            return list(session.scalars(query.order_by(Share.id.desc())))

    def revoke(self, record_id: str, share_id: int) -> bool:
        """Take back a link of a result; False where it has none such."""
        return self._forget(Share.id == share_id, Share.record_id == record_id) > 0

    def sweep(self) -> None:
        """Delete the links that have expired, and pictures that are no link's."""
        self._forget(Share.expires <= self._clock())
        with self._database.reading() as session:
            known = set(session.scalars(select(Share.digest)))
        for path in self._folder.glob("*.jpg"):
            if path.stem not in known and modified(path) < self._clock().timestamp() - _UNFINISHED_SECONDS:
                path.unlink(missing_ok=True)

    def _forget(self, *which: Any) -> int:
        """Delete links, and then their pictures, which the next sweep finds otherwise."""
        with self._database.writing() as session:
            digests = list(session.scalars(select(Share.digest).where(*which)))
            session.execute(delete(Share).where(Share.digest.in_(digests)))
        for digest in digests:
            self._picture(digest).unlink(missing_ok=True)
        return len(digests)

    def _keep_picture(self, picture: Path | None, digest: str) -> None:
        if picture is None:
            return
        with readable_disk_errors(self._folder), suppress(FileNotFoundError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(picture, self._picture(digest))

    def _picture(self, digest: str) -> Path:
        return self._folder / f"{digest}.jpg"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
