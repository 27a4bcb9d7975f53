"""How often one client may ask for what costs something, counted for all workers together."""

import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from flask import Flask, Response
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from limits.storage import Storage
from sqlalchemy import Float, String, delete
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from tellapart.errors import TellapartError
from tellapart.settings import Settings
from webui.database import Base, Database
from webui.errors import Trouble, answer
from webui.intake import sent_archive
from webui.users import Users

LIMITS = {
    "login.enter": "10 per minute; 60 per hour",
    "passwords.change": "10 per minute; 60 per hour",
    "create.submit": "60 per hour",
    "review_changes.train": "60 per hour",
    "review_changes.apply_staged": "600 per hour",
    "classifiers.export": "60 per hour",
    "classifiers.exported": "60 per hour",
    "classifiers.dataset_zip": "60 per hour",
    "classifiers.model_zip": "60 per hour",
    "uploads.classify": "1200 per minute",
    "own_pictures.add": "300 per hour",
    "batches.start": "120 per hour",
    "batches.add": "1200 per minute",
    "batches.show": "600 per minute",
    "batches.part": "1200 per minute",
    "results.heat_map": "300 per minute",
    "results.explanation": "300 per minute",
    "results.nearest": "300 per minute",
    "shares.create": "120 per hour",
}
"""By endpoint, for each client address; an archive is an upload that also counts as the start of a batch."""
_ALWAYS = ("login.enter", "passwords.change")
_UPLOAD, _BATCH = "uploads.classify", "batches.start"
_QUEUED = "classifiers.export"  # who has to wait asks again and again


class Counter(Base):
    """How often something was asked for in the window that ends at `expires` (Unix time)."""

    __tablename__ = "rate_counter"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    count: Mapped[int]
    expires: Mapped[float] = mapped_column(Float, index=True)


class DatabaseStorage(Storage):
    """Counters in the page's database, for where there is no Redis."""

    STORAGE_SCHEME = ["tellapart-database"]  # noqa: RUF012

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions)
        self._database: Database = options["database"]

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What may go wrong."""
        return (TellapartError, SQLAlchemyError)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and give the count of the window; a window that is over begins anew."""
        current = time.time()
        with self._database.exclusive() as session:  # or two that count at once would count one
            session.execute(delete(Counter).where(Counter.expires < current))
            counter = session.get(Counter, key) or Counter(key=key, count=0, expires=current + expiry)
            counter.count += amount
            session.add(counter)
            return counter.count

    def get(self, key: str) -> int:
        """The count of the window."""
        counter = self._find(key)
        return counter.count if counter and counter.expires >= time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends."""
        counter = self._find(key)
        return counter.expires if counter else time.time()

    def check(self) -> bool:
        """Whether the database answers."""
        self._find("")
        return True

    def reset(self) -> int | None:
        """Forget all counts."""
        with self._database.writing() as session:
            session.execute(delete(Counter))
        return None

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self._database.writing() as session:
            session.execute(delete(Counter).where(Counter.key == key))

    def _find(self, key: str) -> Counter | None:
        with self._database.reading() as session:
            return session.get(Counter, key)


def register(app: Flask, settings: Settings, database: Database, users: Users) -> None:
    """Hold an app's endpoints to `LIMITS`; its blueprints are registered already.

    Without users only this machine can ask, and nothing is counted but tries of passwords.
    """
    uri = settings.cache_url or "tellapart-database://"
    options: dict[str, Any] = {} if settings.cache_url else {"database": database}
    limiter = Limiter(
        _client, app=app, storage_uri=uri, storage_options=options, on_breach=_too_often,
        key_prefix="tellapart", headers_enabled=False, in_memory_fallback_enabled=True,
    )  # fmt: skip

    def hold(endpoint: str, limit: str, free: Callable[[], bool] | None) -> None:
        view: Any = app.view_functions[endpoint]
        counts = _is_no_wait if endpoint == _QUEUED else None
        limited: Any = limiter.limit(limit, exempt_when=free, deduct_when=counts)(view)
        app.view_functions[endpoint] = limited

    for endpoint, limit in LIMITS.items():
        hold(endpoint, limit, None if endpoint in _ALWAYS else lambda: not users.exist())
    hold(_UPLOAD, LIMITS[_BATCH], lambda: not users.exist() or sent_archive() is None)


def _client() -> str:
    """Who asks: an IPv4 address, or the 64 bits of an IPv6 one that are a network; the rest is free to choose."""
    text = get_remote_address()
    with suppress(ValueError):
        address = ip_address(text)
        if isinstance(address, IPv6Address) and not address.ipv4_mapped:
            return str(IPv6Network((address, 64), strict=False))
    return text


def _is_no_wait(response: Response) -> bool:
    return response.status_code != 202


def _too_often(limit: RequestLimit) -> Response:
    seconds = max(1, round(limit.reset_at - time.time()))
    message = f"That was asked for too often from your address. Try again in {seconds} s."
    return answer(Trouble(429, "One moment", message, "too_often"), **{"Retry-After": str(seconds)})
