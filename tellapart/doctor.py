"""What this machine has of what the program can use, and how to get the rest. Needs torch."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from tellapart.backbones import BACKBONES, DEFAULT_BACKBONE
from tellapart.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One thing looked for: what it is, how it was found, and what to do ("" for nothing)."""

    what: str
    state: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look for everything that some command needs; reads only, and asks no network."""
    yield Finding("Python", sys.version.split()[0])
    yield _gpu()
    yield _file("browser", settings.chromium, "Get it with: apt-get install chromium")
    yield _file("browser driver", settings.chromedriver, "Get it with: apt-get install chromium-driver")
    yield _file("demo pictures", settings.gallery_folder, "Get them with: apt-get install tuxpaint-stamps-default")
    yield _weights()
    yield _redis(settings)
    yield _home(settings.home)


def _file(what: str, path: Path, fix: str) -> Finding:
    return Finding(what, str(path)) if path.exists() else Finding(what, f"missing, there is no {path}", fix)


def _gpu() -> Finding:
    if torch.cuda.is_available():
        return Finding("GPU", torch.cuda.get_device_name(0))
    return Finding("GPU", "none, the processor is used")


def _weights() -> Finding:
    backbone = BACKBONES[DEFAULT_BACKBONE]
    path = Path(torch.hub.get_dir()) / "checkpoints" / backbone.weights_file
    what = f"{backbone.title} weights"
    if path.exists():
        return Finding(what, str(path))
    without = f"Where that is not possible, put {backbone.weights_file} into {path.parent}, or use --backbone auto"
    return Finding(what, "not here yet, downloaded when first needed", without)


def _redis(settings: Settings) -> Finding:
    wanted = {"TELLAPART_CACHE_URL": settings.cache_url, "TELLAPART_QUEUE_URL": settings.queue_url}
    names = " and ".join(name for name, url in wanted.items() if url)
    if not names:
        return Finding("Redis", "not asked for, files and SQLite are used")
    if find_spec("redis") is None:
        return Finding("Redis", f"asked for by {names}, and its client is missing", "Get it with: pip install redis")
    return Finding("Redis", f"asked for by {names}")


def _home(home: Path) -> Finding:
    nearest = next(p for p in (home, *home.parents) if p.exists())
    if os.access(nearest, os.W_OK):
        return Finding("data folder", str(home))
    return Finding("data folder", f"{nearest} cannot be written", "Set TELLAPART_HOME to a folder of yours")
