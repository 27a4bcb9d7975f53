"""Who may use the page, where it asks for a login: names and hashed passwords."""

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import String, Text, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from tellapart.errors import NoDataError, UsageError
from webui.database import Base, Database, Moment
from webui.jobs import utc_now

MIN_PASSWORD, MAX_PASSWORD = 10, 200
LONGEST_SESSION = timedelta(days=30)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_FRESH_SECONDS = 2.0
_HASHER = PasswordHasher()  # argon2id with the parameters of RFC 9106 for little memory


def check_user_name(name: str) -> None:
    """Refuse what cannot be a user's name.

    Raises:
        UsageError: it says what can be.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:40]!r} cannot be a user's name", "Use up to 32 of a-z, 0-9, . - _, the first a letter or digit"
        )


class User(Base):
    """One person."""

    __tablename__ = "users"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(Moment, default=utc_now)


class LoginSession(Base):
    """Somebody who is logged in: the sha256 of what the session carries, until `expires`."""

    __tablename__ = "sessions"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(String(32), index=True)
    expires: Mapped[datetime] = mapped_column(Moment, index=True)


class Users:
    """All users. As soon as there is one, the page asks everybody to log in."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._lock = Lock()
        self._seen: tuple[float, bool] | None = None

    def add(self, name: str, password: str) -> None:
        """Add a user, or give one a new password, which ends the sessions there are.

        Raises:
            UsageError: the name or the password cannot be used.
        """
        check_user_name(name)
        hashed = _hashed(password)
        with self._database.exclusive() as session:  # or two that add the same would each find it missing
            session.merge(User(name=name, password_hash=hashed, created=utc_now()))
            session.execute(delete(LoginSession).where(LoginSession.user == name))

    def change_password(self, name: str, old: str, new: str) -> str | None:
        """Give a user who knows the old password a new one, which ends the sessions there are.

        Gives what the session carries that begins then, None for who does not know it.

        Raises:
            UsageError: the new password cannot be used.
        """
        hashed, known = _hashed(new), self._known_by(name, old)
        with self._database.writing() as session:
            user = _unchanged(session, name, known)
            if user is None:
                return None
            user.password_hash = hashed
            session.execute(delete(LoginSession).where(LoginSession.user == name))
            return _begin(session, name)

    def remove(self, name: str) -> None:
        """Take a user out.

        Raises:
            NoDataError: there is none of that name.
        """
        with self._database.writing() as session:
            if not session.execute(delete(User).where(User.name == name)).rowcount:  # type: ignore[attr-defined]
                raise NoDataError(f"there is no user {name[:40]!r}", "See them with: tellapart users list")
            session.execute(delete(LoginSession).where(LoginSession.user == name))

    def names(self) -> list[str]:
        """All names, in order."""
        with self._database.reading() as session:
            return list(session.scalars(select(User.name).order_by(User.name)))

    def exist(self) -> bool:
        """Whether there is any; looked up at most every two seconds."""
        with self._lock:
            if self._seen is None or self._clock() - self._seen[0] >= _FRESH_SECONDS:
                with self._database.reading() as session:
                    self._seen = self._clock(), bool(session.scalar(select(func.count()).select_from(User)))
            return self._seen[1]

    def log_in(self, name: str, password: str) -> str | None:
        """What the session of a user carries from now on, until it is logged out or `LONGEST_SESSION` is over.

        None where the password is not the user's, which takes as long for a name that there is not.
        """
        known = self._known_by(name, password)
        with self._database.writing() as session:
            return _begin(session, name) if _unchanged(session, name, known) else None

    def logged_in(self, token: str) -> str | None:
        """Whose session carries this, None where it is nobody's or was logged out."""
        found = select(LoginSession.user).where(LoginSession.digest == _digest(token), LoginSession.expires > utc_now())
        with self._database.reading() as session:
            return session.scalar(found)

    def log_out(self, token: str) -> None:
        """End a session, and with it all copies of its cookie."""
        with self._database.writing() as session:
            session.execute(delete(LoginSession).where(LoginSession.digest == _digest(token)))

    def _known_by(self, name: str, password: str) -> str:
        """The hash of the user's password, "" where this is not the password."""
        with self._database.reading() as session:
            user = session.get(User, name) if _NAME.fullmatch(name) else None
        try:
            fits = _HASHER.verify(user.password_hash if user else _nobodys_hash(), password)
        except (Argon2Error, InvalidHashError):
            return ""
        return user.password_hash if user and fits else ""


def _unchanged(session: Session, name: str, known: str) -> User | None:
    """The user whose password still has this hash: to look at it takes long, and it may be changed meanwhile."""
    user = session.get(User, name, with_for_update=True) if known else None
    return user if user and user.password_hash == known else None


def _begin(session: Session, name: str) -> str:
    token, now = secrets.token_urlsafe(32), utc_now()
    session.execute(delete(LoginSession).where(LoginSession.expires < now))
    session.add(LoginSession(digest=_digest(token), user=name, expires=now + LONGEST_SESSION))
    return token


def _hashed(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise UsageError(
            f"a password of {len(password)} characters", f"Use {MIN_PASSWORD} to {MAX_PASSWORD} characters"
        )
    return _HASHER.hash(password)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _nobodys_hash(made: list[str] = []) -> str:  # noqa: B006
    """A hash that no password has, made once."""
    if not made:
        made.append(_HASHER.hash(f"nobody {time.time_ns()}"))
    return made[0]
