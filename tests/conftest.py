"""Helpers for the tests of every room: generated pictures, a home of one's own, a classifier without training."""

import io
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tellapart.backbones import BACKBONES
from tellapart.bundle import BundleInfo, write_bundle
from tellapart.files import held
from tellapart.head import Head
from tellapart.names import parse_class_names
from tellapart.stopping import end_with_parent
from tests.ports import free_port

MakePicture = Callable[..., bytes]
_TEMPORARY = tempfile.gettempdir()  # before any test has one of its own, which others than root may not open
_POSTGRES = "tellapart-postgres-"
_AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
_AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_AXE_RUN = """
const done = arguments[arguments.length - 1];
const headings = document.querySelectorAll("h1").length;
const frame = [[!document.title.trim(), "no title"], [headings !== 1, `${headings} main headings`],
  [document.documentElement.scrollWidth > screen.width, "wider than the screen"],
  [document.querySelector("nav") && document.querySelector("a").className !== "skip", "no way past the head"]];
const rules = { "target-size": { enabled: true } };
axe.run(document, { runOnly: { type: "tag", values: arguments[0] }, rules }).then((found) => done([
  ...frame.filter(([wrong]) => wrong).map(([, what]) => what),
  ...found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")} ${n.failureSummary}`))]));
"""


@pytest.fixture(scope="session")
def make_picture() -> MakePicture:
    """A picture of one colour as a file's bytes: `make_picture("red", (64, 48), "PNG", mode="RGBA")`."""

    def make(
        color: Any = "red",
        size: tuple[int, int] = (64, 64),
        format: str = "PNG",  # noqa: A002
        mode: str = "RGB",
        **options: Any,
    ) -> bytes:
        return encode(Image.new(mode, size, color), format, **options)

    return make


@pytest.fixture(scope="session")
def make_photo() -> MakePicture:
    """A picture with structure as a file's bytes; every seed looks different to a perceptual hash."""

    def make(
        seed: int,
        size: tuple[int, int] = (96, 96),
        format: str = "PNG",  # noqa: A002
        **options: Any,
    ) -> bytes:
        blobs = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        return encode(Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC), format, **options)

    return make


@pytest.fixture(scope="session")
def to_bytes() -> MakePicture:
    """A PIL image as a file's bytes: `to_bytes(image, "TIFF", compression="lzw")`."""
    return encode


def encode(image: Image.Image, format: str, **options: Any) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that holds TELLAPART_HOME ("home") and BENTOML_HOME ("bentoml") of this test alone."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    monkeypatch.setenv("TELLAPART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    (tmp_path / "bentoml" / "models").mkdir(parents=True)
    # BentoML reads its home once a process, so the variable alone would not do
    BentoMLContainer.model_store.set(ModelStore(str(tmp_path / "bentoml" / "models")))
    yield tmp_path
    BentoMLContainer.model_store.reset()


@pytest.fixture(scope="session")
def tiny_bundle() -> Callable[..., BundleInfo]:
    """Writes a classifier into a folder: `tiny_bundle(folder, ("cat", "dog"), head=Head(...), metrics={...})`.

    ResNet18 with random weights (45 MB), or `file` in their place where nobody will load them. The
    default head takes no notice of the features and has the biases 0, -1, -2 ... in class index order,
    so two classes always get 0.7311 and 0.2689.
    """

    def write(
        folder: Path,
        classes: tuple[str, ...] = ("cat", "dog"),
        head: Head | None = None,
        file: bytes | None = None,
        neighbours: Any = None,
        **changes: Any,
    ) -> BundleInfo:
        backbone = BACKBONES["resnet18"]
        count = len(classes)
        plain = Head(np.zeros((count, backbone.feature_dim), np.float32), -np.arange(count, dtype=np.float32))
        fields: dict[str, Any] = {
            "classes": parse_class_names(classes),
            "preprocessing": backbone.preprocessing,
            "backbone": backbone.name,
            "backbone_sha256": "",
            "head_sha256": "",
            "weights": "none",
            "temperature": 1.0,
            "reject_threshold": None,
            "metrics": {"accuracy": 0.9},
            "dataset": {"name": "pets"},
            "training": {"seed": 0},
            "packages": {},
            "created": "2026-01-01T00:00:00+00:00",
        }
        info = BundleInfo(**fields | changes)
        return write_bundle(folder, info, file or _random_resnet18(), head or plain, neighbours)

    return write


@cache
def _random_resnet18() -> bytes:
    import torch

    from tellapart.network import build_module, serialize

    torch.manual_seed(0)
    return serialize(build_module(BACKBONES["resnet18"]))


def _accessibility_problems(browser: Any, scheme: str = "") -> list[str]:
    """What axe-core finds wrong with the page that a browser shows; and its title, heading, skip link and width.

    `scheme` is "light" or "dark", "" for the one that it shows now.
    """
    if scheme:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute_script(_AXE.read_text())
    found: list[str] = browser.execute_async_script(_AXE_RUN, _AXE_RULES)
    return found


@pytest.fixture(scope="session")
def axe() -> Callable[..., list[str]]:
    """`axe(browser, "dark")` tells what is wrong with the page that it shows."""
    return _accessibility_problems


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of an empty Redis server of this run alone; what a test writes, it removes.

    A test that uses it is marked `redis`, and skipped where there is no redis-server.
    """
    import redis

    if not (binary := shutil.which("redis-server")):
        pytest.skip("redis-server is missing (Debian package redis-server)")
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = _ending_with_us([binary, *options], stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            _until_it_answers(process, client.ping, redis.ConnectionError)
        yield url
    finally:
        process.terminate()
        process.wait(90)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL (SQLAlchemy's) of an empty PostgreSQL database of this run alone; what a test makes, it drops.

    The server listens on a unix socket only. A test that uses it is marked `postgres`, and skipped
    where there is no PostgreSQL.
    """
    server, init = _postgres_binary("postgres"), _postgres_binary("initdb")
    import psycopg

    _sweep_killed(Path(_TEMPORARY))
    with tempfile.TemporaryDirectory(prefix=_POSTGRES, dir=_TEMPORARY) as folder, held(Path(folder), 60):
        user = _give_away(Path(folder)) if os.geteuid() == 0 else None  # it refuses to run as root
        how: Any = {"user": user, "group": user, "cwd": folder}
        options = ["-U", "tellapart", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        command = [init, "-D", f"{folder}/data", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
        assert done.returncode == 0, done.stdout + done.stderr
        settings = ["-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        with open(f"{folder}/log", "wb") as log:
            process = _ending_with_us([server, "-D", f"{folder}/data", *settings], stdout=log, stderr=log, **how)
        try:
            address = f"postgresql://tellapart@/postgres?host={folder}"
            _until_it_answers(process, lambda: psycopg.connect(address).close(), psycopg.OperationalError)
            yield address.replace("postgresql:", "postgresql+psycopg:")
        finally:
            process.send_signal(signal.SIGQUIT)  # at once
            process.wait(90)


def _sweep_killed(temporary: Path) -> None:
    """Delete the databases of runs that were killed; one that is being made is a moment old, one in use is held."""
    for folder in temporary.glob(f"{_POSTGRES}*"):
        with suppress(OSError), held(folder):
            if folder.stat().st_mtime < time.time() - 60:
                shutil.rmtree(folder, ignore_errors=True)


def _ending_with_us(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    """A server that does not stay behind where the run is killed."""
    return subprocess.Popen(command, preexec_fn=end_with_parent, **options)  # noqa: PLW1509 (it takes no lock)


def _until_it_answers(
    process: "subprocess.Popen[bytes]", ask: Callable[[], Any], refusal: type[Exception], seconds: float = 90
) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            ask()
        except refusal:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"{process.args!r} did not start")


def _postgres_binary(name: str) -> str:
    """Debian keeps the server's programs out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = shutil.which(name) or (found and str(found[-1]))
    return path or pytest.skip("PostgreSQL is missing (Debian package postgresql)")


def _give_away(folder: Path) -> int:
    import pwd

    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(folder, nobody, -1)
    return nobody
