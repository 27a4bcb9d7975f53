"""The web page's database: SQLite in WAL mode in the home folder, or PostgreSQL by URL.

    with database.reading() as session: ...      # sees one state, changes nothing
    with database.writing() as session: ...      # one transaction, committed at the end

Modules with tables of their own declare them on `Base`; a process makes the tables that are missing when
it first uses the database, however many processes do so at once.
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from sqlalchemy import Connection, DateTime, Engine, create_engine, event, insert, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from tellapart.errors import DataError, TellapartError
from tellapart.files import readable_disk_errors
from tellapart.postgres import postgres_address, postgres_engine
from tellapart.settings import Settings
from tellapart.sqlite import use_wal

SCHEMA = 1
_BUSY_SECONDS = 20
_LOCK_NUMBER = 7_355_227  # of the advisory lock in PostgreSQL; any number that nobody else uses there


class Base(DeclarativeBase):
    """What every table is declared on."""


class SchemaVersion(Base):
    """The one row that says which tables the database has."""

    __tablename__ = "schema_version"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]


class Moment(TypeDecorator[datetime]):
    """A time in UTC; SQLite keeps no time zones, so they are put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """The value with its time zone."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Database:
    """Transactions on one database; shared by all threads of a process. Nothing is opened before its first use.

    `reading`, `writing` and `exclusive` raise:
        DataError: the database is of a newer version of this program.
        TellapartError: it cannot be reached or written.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError where TELLAPART_DATABASE_URL is no address of a database that is supported."""
        self._url = _url(settings)
        self._settings = settings
        self._lock = Lock()
        self._engine: Engine | None = None

    @contextmanager
    def reading(self) -> Generator[Session, None, None]:
        """One transaction that changes nothing; what it gives may be used after it."""
        with self._session(immediate=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Generator[Session, None, None]:
        """One transaction, committed at the end, undone where the body raises."""
        with self._session(immediate=True) as session, session.begin():
            yield session

    @contextmanager
    def exclusive(self) -> Generator[Session, None, None]:
        """As `writing`, and no other process is in an `exclusive` one meanwhile."""
        with self.writing() as session:
            _lock_out_others(session.connection())
            yield session

    def close(self) -> None:
        """Close all connections; a later use opens them anew."""
        with self._lock:
            if self._engine:
                self._engine.dispose()
            self._engine = None

    @contextmanager
    def _session(self, immediate: bool) -> Generator[Session, None, None]:
        try:
            engine = self._opened().execution_options(immediate=immediate)
            with Session(engine, expire_on_commit=False) as session:
                yield session
        except SQLAlchemyError as error:
            raise _for_people(error, self._url) from error

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = _open(self._url, self._settings)
            return self._engine


def _url(settings: Settings) -> URL:
    if not settings.database_url:
        return URL.create("sqlite", database=str(settings.home / "web" / "tellapart.sqlite"))
    return postgres_address(settings.database_url)


def _open(url: URL, settings: Settings) -> Engine:
    if url.get_backend_name() == "sqlite":
        folder = settings.home / "web"
        with readable_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = postgres_engine(url, 5, pool_pre_ping=True)
    try:
        with engine.execution_options(immediate=True).begin() as connection:
            _lock_out_others(connection)
            _make_tables(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Transactions begin where we say so, not where the driver thinks; a reader never waits for a writer."""
    connection.isolation_level = None
    use_wal(connection, _BUSY_SECONDS)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _lock_out_others(connection: Connection) -> None:
    """SQLite's immediate transactions exclude each other; PostgreSQL's are told to."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})


def _make_tables(connection: Connection) -> None:
    """Make what is missing, unless the database is of a newer version than this program."""
    version = None
    if inspect(connection).has_table(SchemaVersion.__tablename__):
        version = connection.execute(text("SELECT version FROM schema_version")).scalar()
    if version is not None and version > SCHEMA:
        raise DataError(
            f"the web page's database has version {version}, this program reads {SCHEMA}", "Update this program"
        )
    Base.metadata.create_all(connection)
    if version is None:
        connection.execute(insert(SchemaVersion).values(id=1, version=SCHEMA))


def _for_people(error: SQLAlchemyError, url: URL) -> TellapartError:
    where = url.render_as_string(hide_password=True)
    cause = getattr(error, "orig", None) or error
    return TellapartError(
        f"the web page's database {where} cannot be used: {cause}", "Check that it is there and may be written"
    )
