"""The PostgreSQL database that the web page may be given: its address, and whether it answers."""

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

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
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise UsageError(
        "TELLAPART_DATABASE_URL is not the address of a PostgreSQL database",
        "Write postgresql://USER:PASSWORD@HOST/NAME, or unset it for SQLite",
    )


def why_unreachable(url: URL, seconds: int) -> str:
    """Why a database cannot be connected to in this time, "" where it can; makes nothing in it."""
    engine = create_engine(url, connect_args={"connect_timeout": seconds})
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        return str(getattr(error, "orig", None) or error).splitlines()[0]
    finally:
        engine.dispose()
    return ""
