"""The PostgreSQL database that the web page may be given: its address, and whether it answers."""

from sqlalchemy import create_engine
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


def why_unreachable(url: URL, seconds: int) -> str:
    """Why a database cannot be connected to in this time, "" where it can; makes nothing in it."""
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": seconds})
        engine.connect().close()
    except (SQLAlchemyError, ImportError) as error:  # psycopg is there, and the C library that it needs is not
        return str(getattr(error, "orig", None) or error).splitlines()[0]
    return ""
