"""What this machine has of what the program can use, and how to get the rest. Needs torch only where a GPU is."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from tellapart import promotions, store, stored
from tellapart.backbones import BACKBONES, DEFAULT_BACKBONE, cached_weights_file
from tellapart.errors import TellapartError, UsageError
from tellapart.files import why_unwritable
from tellapart.hardware import visible_gpus
from tellapart.settings import Settings
from tellapart.supervisor import check_port

_LEAST_ROOM = 2**30
_BROWSER_SOURCES = "gallery, bing, duckduckgo, google and some site: recipes need it"
_STAMPS = "apt-get install tuxpaint-stamps-default"
_ANSWER_SECONDS = 2


class Level(StrEnum):
    """What a finding means."""

    OK = "ok"
    OPTIONAL = "optional"  # some command needs it
    WRONG = "wrong"  # nothing works as it should until it is put right


@dataclass(frozen=True)
class Finding:
    """One thing looked for: what it is, how it was found, and what to do ("" for nothing)."""

    what: str
    state: str
    fix: str = ""
    level: Level = Level.OK


def examine(settings: Settings) -> Iterator[Finding]:
    """Look for everything that some command needs; writes nothing that stays, and asks Redis and PostgreSQL alone."""
    yield Finding("Python", sys.version.split()[0])
    yield _gpu()
    yield _file("browser", settings.chromium, _BROWSER_SOURCES, "apt-get install chromium")
    yield _file("browser driver", settings.chromedriver, _BROWSER_SOURCES, "apt-get install chromium-driver")
    yield _file("demo pictures", settings.gallery_folder, "gallery shows them", _STAMPS)
    yield _weights()
    yield from _redis(settings)
    yield _postgres(settings)
    yield _folder("data folder", settings.home, "TELLAPART_HOME")
    models = _folder("model store", promotions.store_folder(), "BENTOML_HOME")
    yield models
    if models.level is Level.OK:
        yield from _classifiers()
    yield _port("web page", settings.host, settings.web_port, "TELLAPART_WEB_PORT")
    yield _port("service", settings.host, settings.service_port, "TELLAPART_SERVICE_PORT")


def _file(what: str, path: Path, why: str, command: str) -> Finding:
    if path.exists():
        return Finding(what, str(path))
    return Finding(what, f"missing, there is no {path}; {why}", f"Get it with: {command}", Level.OPTIONAL)


def _gpu() -> Finding:
    if visible_gpus():
        import torch  # takes seconds

        if torch.cuda.is_available():
            return Finding("GPU", torch.cuda.get_device_name(0))
    return Finding("GPU", "none, the processor is used")


def _weights() -> Finding:
    backbone = BACKBONES[DEFAULT_BACKBONE]
    path = cached_weights_file(backbone)
    what = f"{backbone.title} weights"
    if path.exists():
        return Finding(what, str(path))
    without = f"Where that is not possible, put {backbone.weights_file} into {path.parent}, or use --backbone auto"
    return Finding(what, "not here yet, downloaded when first needed", without, Level.OPTIONAL)


def _redis(settings: Settings) -> Iterator[Finding]:
    wanted = {"TELLAPART_CACHE_URL": settings.cache_url, "TELLAPART_QUEUE_URL": settings.queue_url}
    asked = {name: url for name, url in wanted.items() if url}
    if not asked:
        yield Finding("Redis", "not asked for, files and SQLite are used")
    elif find_spec("redis") is None:
        what = f"asked for by {' and '.join(asked)}, and its client is missing"
        yield Finding("Redis", what, "Get it with: pip install redis", Level.WRONG)
    else:
        yield from (_ask_redis(name, url) for name, url in asked.items())


def _ask_redis(name: str, url: str) -> Finding:
    import redis

    try:
        limits = {"socket_connect_timeout": _ANSWER_SECONDS, "socket_timeout": _ANSWER_SECONDS}
        with redis.Redis.from_url(url, **limits) as client:
            client.ping()
    except (redis.RedisError, ValueError):
        return Finding("Redis", f"asked for by {name}, does not answer", f"Start it or unset {name}", Level.WRONG)
    return Finding("Redis", f"asked for by {name}, answers")


def _postgres(settings: Settings) -> Finding:
    if not settings.database_url:
        return Finding("PostgreSQL", "not asked for, SQLite is used")
    from tellapart.postgres import postgres_address, why_unreachable

    try:
        reason = why_unreachable(postgres_address(settings.database_url), _ANSWER_SECONDS)
    except UsageError as error:
        return Finding("PostgreSQL", error.what, error.fix, Level.WRONG)
    asked = "asked for by TELLAPART_DATABASE_URL"
    if reason:
        fix = "Start it, or put TELLAPART_DATABASE_URL right or unset it"
        return Finding("PostgreSQL", f"{asked}, cannot be used: {reason}", fix, Level.WRONG)
    return Finding("PostgreSQL", f"{asked}, answers")


def _folder(what: str, folder: Path, setting: str) -> Finding:
    if reason := why_unwritable(folder):
        fix = f"Put that right, or set {setting} to a folder that can be written"
        return Finding(what, f"{folder} cannot be used: {reason}", fix, Level.WRONG)
    room = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    state = f"{folder}, {room / 2**30:.1f} GB free"
    if room < _LEAST_ROOM:
        return Finding(what, state, f"Make room, or set {setting} to a folder on another disk", Level.WRONG)
    return Finding(what, state)


def _classifiers() -> Iterator[Finding]:
    """What is in the model store and cannot be read, as what another version wrote or a killed process left."""
    try:
        bad = stored.unreadable()
        there = len(store.list_models())
    except TellapartError as error:
        yield Finding("classifiers", error.what, error.fix, Level.WRONG)
        return
    yield Finding("classifiers", str(there) if there else "none yet")
    if bad:
        names = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        fix = "Delete them with: bentoml models delete NAME:VERSION"
        yield Finding("unreadable classifiers", f"{names}, which nothing lists", fix, Level.OPTIONAL)


def _port(what: str, host: str, port: int, setting: str) -> Finding:
    try:
        check_port(host, port, f"the {what}", f"Stop what uses it, Tellapart itself perhaps, or set {setting}")
    except TellapartError as error:
        return Finding(what, error.what, error.fix, Level.OPTIONAL)
    return Finding(what, f"port {port} of {host} is free")
