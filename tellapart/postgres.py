"""The PostgreSQL database that the web page may be given: its address, and whether it answers."""

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tellapart.errors import UsageError


def postgres_address(text: str) -> URL:
    """What TELLAPART_DATABASE_URL says, with the driver we use.

    Raises:
        UsageError: it is no address of a PostgreSQL database.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = URL.create("unknown")
    # an @ in a host is of the password, which no message about that host may have
    if url.get_backend_name() in ("postgresql", "postgres") and "@" not in (url.host or ""):
        return url.set(drivername="postgresql+psycopg")
    raise UsageError(
        "TELLAPART_DATABASE_URL is not the address of a PostgreSQL database",
        "Write postgresql://USER:PASSWORD@HOST/NAME, an @ in the password as %40, or unset it for SQLite",
    )


def postgres_engine(url: URL, seconds: int, **options: Any) -> Engine:
    """What connects to a database, or gives up after so long.

    Raises:
        UsageError: the client of PostgreSQL, or the library that it needs, is not installed.
    """
    try:
        return create_engine(url, connect_args={"connect_timeout": seconds}, **options)
    except ImportError as error:
        raise UsageError(
            f"TELLAPART_DATABASE_URL asks for PostgreSQL, whose client cannot be loaded: {_first_line(error)}",
            "Get it with: pip install 'psycopg[binary]'",
        ) from error


def why_unreachable(url: URL, seconds: int) -> str:
    """Why a database cannot be connected to in this time, "" where it can; makes nothing in it.

    Raises:
        UsageError: as `postgres_engine`.
    """
    try:
        postgres_engine(url, seconds, poolclass=NullPool).connect().close()
    except SQLAlchemyError as error:
        return _first_line(getattr(error, "orig", None) or error)
    return ""


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
