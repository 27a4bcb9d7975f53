"""Where answers are kept: files or Redis, always as JSON, so that nothing kept is ever unpickled."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cachelib.serializers import JSONSerializer
from flask_caching.backends import FileSystemCache, RedisCache

from tellapart.errors import UsageError
from tellapart.settings import Settings

DAY = 24 * 3600
KEEP_SECONDS = 7 * DAY
MAX_FILES = 20_000
PRUNE_EVERY = 1000  # answers


class JsonSerializer(JSONSerializer):  # type: ignore[misc]
    """JSON in and out; what cannot be read is a miss, silently."""

    def load(self, f: Any, *_: Any, **__: Any) -> Any:
        """Read a file's value, None where it is no JSON."""
        return self.loads(f.read())

    def loads(self, bvalue: Any, *_: Any, **__: Any) -> Any:
        """Read a value, None where it is absent or no JSON."""
        if bvalue is None:
            return None
        try:
            return super().loads(bvalue)
        except RecursionError:
            return None

    def _warn(self, e: Exception) -> None:
        """A corrupt entry is asked for again; there is nothing for anyone to do."""


class JsonFileCache(FileSystemCache):  # type: ignore[misc]
    """Answers as files."""

    serializer = JsonSerializer()

    _until_prune = PRUNE_EVERY

    def _update_count(self, delta: int | None = None, value: int | None = None) -> None:
        """Nothing is counted at each answer; the folder is looked through once in a while."""

    def _prune(self) -> None:
        """Once in a while, down to the threshold, oldest first."""
        self._until_prune -= 1
        if self._until_prune > 0:
            return
        self._until_prune = PRUNE_EVERY
        files = sorted(map(Path, self._list_dir()), key=_modified)
        for path in files[: max(0, len(files) - self._threshold)]:
            path.unlink(missing_ok=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


class JsonRedisCache(RedisCache):  # type: ignore[misc]
    """Answers in Redis. While it is down every look-up is a miss, and nothing is kept."""

    serializer = JsonSerializer()

    def get(self, key: str) -> Any:
        """The value, None where there is none."""
        try:
            return super().get(key)
        except Exception:  # of many kinds; an answer can always be asked for again
            return None

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        """Keep a value if possible, and say whether it was."""
        try:
            return super().set(key, value, timeout)
        except Exception:
            return False


def cache_config(settings: Settings) -> dict[str, Any]:
    """Flask-Caching's configuration for these settings.

    Raises:
        UsageError: a Redis URL without the Redis client installed.
    """
    common = {"CACHE_DEFAULT_TIMEOUT": KEEP_SECONDS, "CACHE_KEY_PREFIX": "tellapart:"}
    if not settings.cache_url:
        folder = settings.home / "web" / "cache"
        files = {"CACHE_TYPE": f"{__name__}.JsonFileCache", "CACHE_DIR": str(folder), "CACHE_THRESHOLD": MAX_FILES}
        return common | files
    if find_spec("redis") is None:
        raise UsageError(
            "TELLAPART_CACHE_URL asks for Redis and its client is not installed", "Run: pip install redis, or unset it"
        )
    quick = {"socket_timeout": 1, "socket_connect_timeout": 1}
    redis = {"CACHE_TYPE": f"{__name__}.JsonRedisCache", "CACHE_REDIS_URL": settings.cache_url, "CACHE_OPTIONS": quick}
    return common | redis
