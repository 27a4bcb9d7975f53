"""The queue that wakes workers: Huey over SQLite in the home folder, or over Redis by URL.

Its messages say only that there may be something to do. They are JSON, signed with the web page's key, and
never pickled, so that who can write to the queue can make a worker look for work and nothing else.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from threading import Lock
from typing import Any

from huey import Huey, RedisHuey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer
from redis import ConnectionPool

from tellapart.files import readable_disk_errors
from tellapart.settings import Settings
from webui.secret import secret_key

_NAME = "tellapart"
_SOCKET_SECONDS = 5.0  # a Redis that does not answer holds no page for longer; a worker waits for a message for 1
_log = logging.getLogger(__name__)


class SignedJson(Serializer):  # type: ignore[misc]
    """Messages as JSON with an HMAC-SHA256 before it; anything else raises ValueError."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = hashlib.sha256(f"queue {key}".encode()).digest()

    def _serialize(self, data: Any) -> bytes:
        body = json.dumps({"message": data._asdict()} if isinstance(data, Message) else {"value": data}).encode()
        return self._signature(body) + b":" + body

    def _deserialize(self, data: bytes) -> Any:
        signature, _, body = bytes(data).partition(b":")
        if not hmac.compare_digest(signature, self._signature(body)):
            raise ValueError("a message in the queue is not signed by this web page")
        value = json.loads(body)
        return Message(**value["message"]) if "message" in value else value["value"]

    def _signature(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).hexdigest().encode()


class Queue:
    """Wakes workers; nothing is opened before the first use."""

    def __init__(self, settings: Settings, work: Callable[[], None] | None = None) -> None:
        """`work` is what a worker does when it is woken; the pages, which only wake, give none."""
        self._settings = settings
        self._work = work or _nothing
        self._lock = Lock()
        self._opened: tuple[Huey, Callable[[], Any]] | None = None

    def wake(self) -> None:
        """Let a worker look for work. A queue that cannot be reached is logged: workers also look by themselves."""
        try:
            self._open()[1]()
        except Exception as error:  # of many kinds, as there are many stores
            _log.warning("the queue of jobs cannot be reached: %s", error)

    def wake_if_empty(self) -> None:
        """The same where no message waits already."""
        if not self.huey.pending_count():
            self.wake()

    @property
    def huey(self) -> Huey:
        """For the worker's consumer."""
        return self._open()[0]

    def _open(self) -> tuple[Huey, Callable[[], Any]]:
        with self._lock:
            if self._opened is None:
                huey = _make(self._settings)

                def work() -> None:
                    self._work()

                self._opened = huey, huey.task()(work)
            return self._opened


def _make(settings: Settings) -> Huey:
    common = {"results": False, "serializer": SignedJson(secret_key(settings.home))}
    if settings.queue_url:
        pool = ConnectionPool.from_url(
            settings.queue_url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_SOCKET_SECONDS
        )
        return RedisHuey(_NAME, connection_pool=pool, **common)
    path = settings.home / "web" / "queue.sqlite"
    with readable_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqliteHuey(_NAME, filename=str(path), **common)


def _nothing() -> None:
    """What the pages do when they are woken, which they never are."""
