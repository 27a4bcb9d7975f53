"""How fast the service answers, beside what the same classifier does in this process without HTTP.

    python -m benchmarks.serve [--backbone efficientnet_lite0] [--seconds 10]

Makes a classifier (embedded weights, or random ones) in a temporary model store and pictures of 500 x 375
pixels, then measures the in-process ceiling (decode and classify batches of 32) before and after the server
is asked by 1, 8 and 32 clients that each keep one request in flight. The clients run on the same machine
and take their share of it. Exits with 1 if any answer was not 200.
"""

import argparse
import asyncio
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
from PIL import Image

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = (1, 8, 32)
BATCH = 32


@dataclass(frozen=True)
class Load:
    """What a number of clients saw: seconds per answered picture, and answers that were not 200."""

    clients: int
    seconds: float
    latencies: list[float]
    failed: int

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Latency in milliseconds that this share of the answers stayed below."""
        return float(np.percentile(self.latencies, percent)) * 1000


def make_pictures(count: int = 64) -> list[bytes]:
    """JPEG files of 500 x 375 pixels, about 40 kB, all different."""
    rng = np.random.default_rng(0)
    return [_jpeg(rng.integers(0, 256, (38, 50, 3), dtype=np.uint8)) for _ in range(count)]


def _jpeg(blobs: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(blobs).resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def make_classifier(backbone_name: str) -> Path:
    """A promoted classifier of ten classes in the model store; returns its folder."""
    from tellapart import store
    from tellapart.backbones import EMBEDDED_BACKBONE
    from tellapart.bundle import BundleInfo, Head, write_bundle
    from tellapart.names import parse_class_names
    from tellapart.network import serialize
    from tellapart.weights import load_weights

    weights = load_weights(backbone_name, "auto" if backbone_name == EMBEDDED_BACKBONE else "none")
    backbone = weights.backbone
    head = Head(np.zeros((10, backbone.feature_dim), np.float32), np.arange(10, dtype=np.float32))
    info = BundleInfo(
        classes=parse_class_names([f"class {i}" for i in range(10)]),
        preprocessing=backbone.preprocessing,
        backbone=backbone.name,
        backbone_sha256="",
        head_sha256="",
        weights=weights.origin,
        temperature=1.0,
        reject_threshold=None,
        metrics={},
        dataset={},
        training={},
        packages={},
        created="2026-01-01T00:00:00+00:00",
    )
    with store.new_model("benchmark") as (folder, version):
        write_bundle(folder, info, serialize(weights.module), head)
    return store.promote(f"benchmark:{version}").path


def in_process(folder: Path, pictures: list[bytes], seconds: float) -> float:
    """Pictures a second, decoded and classified in batches of 32 one after the other."""
    from tellapart.classifier import Loader

    classifier = Loader().load(folder)
    pixels = classifier.info.preprocessing.from_bytes
    batches = [pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH)]
    classifier.probabilities(np.stack([pixels(data) for data in batches[0]]))
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        batch = batches[done // BATCH % len(batches)]
        classifier.probabilities(np.stack([pixels(data) for data in batch]))
        done += len(batch)
    return done / (time.perf_counter() - start)


async def ask(url: str, pictures: list[bytes], clients: int, seconds: float) -> Load:
    """Each client sends its next picture as soon as it has its answer."""
    latencies: list[float] = []
    failed = 0
    start = time.perf_counter()

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal failed
        while (begun := time.perf_counter()) - start < seconds:
            form = aiohttp.FormData()
            form.add_field("image", pictures[number % len(pictures)], filename="x.jpg", content_type="image/jpeg")
            async with session.post(f"{url}/classify", data=form) as response:
                await response.read()
                failed += response.status != 200
            latencies.append(time.perf_counter() - begun)
            number += clients

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=clients)) as session:
        await asyncio.gather(*(client(session, i) for i in range(clients)))
    return Load(clients, time.perf_counter() - start, latencies, failed)


@contextmanager
def server() -> Iterator[tuple[str, float, int]]:
    """The service on a free loopback port: its address, seconds to its first answer, process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", "service:Classifier", "--host", "127.0.0.1"]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--timeout-keep-alive", "75"], cwd=ROOT, stdout=log, stderr=log
        )
        try:
            asyncio.run(_first_answer(f"http://127.0.0.1:{port}", process))
            yield f"http://127.0.0.1:{port}", time.perf_counter() - start, process.pid
        finally:
            process.terminate()
            process.wait(30)


async def _first_answer(url: str, process: "subprocess.Popen[bytes]") -> None:
    async with aiohttp.ClientSession() as session:
        while process.poll() is None:
            try:
                async with session.post(
                    f"{url}/classify", data=make_pictures(1)[0], headers={"Content-Type": "image/jpeg"}
                ) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    sys.exit("the server stopped while starting")


def memory_mb(pid: int) -> dict[str, float]:
    """Resident memory of the server's processes, by what they are, in MB."""
    import psutil  # type: ignore[import-untyped]

    supervisor = psutil.Process(pid)
    found = {"supervisor": supervisor.memory_info().rss / 1e6}
    for child in supervisor.children(recursive=True):
        words = child.cmdline()
        if "--service-name" in words:
            found[words[words.index("--service-name") + 1]] = child.memory_info().rss / 1e6
    return found


def run(backbone: str, seconds: float) -> int:
    """Measure and print; returns the number of answers that were not 200."""
    pictures = make_pictures()
    folder = make_classifier(backbone)
    ceilings = [in_process(folder, pictures, seconds)]
    with server() as (url, started, pid):
        loads = [asyncio.run(ask(url, pictures, clients, seconds)) for clients in CLIENTS]
        memory = memory_mb(pid)
    ceilings.append(in_process(folder, pictures, seconds))
    ceiling = sum(ceilings) / 2
    size = sum(map(len, pictures)) / len(pictures) / 1000
    print(f"{machine()}; {backbone}; JPEG 500 x 375, {size:.0f} kB")
    print(f"cold start to the first answer: {started:.1f} s")
    print("memory, MB: " + ", ".join(f"{name} {mb:.0f}" for name, mb in memory.items()))
    print(f"in process, batches of {BATCH}: {ceilings[0]:.1f} before, {ceilings[1]:.1f} after (pictures/s)")
    print("clients  pictures/s  of ceiling   p50 ms   p95 ms   p99 ms  non-200")
    for load in loads:
        p50, p95, p99 = (load.percentile_ms(p) for p in (50, 95, 99))
        print(
            f"{load.clients:7d}  {load.rate:10.1f}  {load.rate / ceiling:10.2f} "
            f"{p50:8.0f} {p95:8.0f} {p99:8.0f}  {load.failed:7d}"
        )
    return sum(load.failed for load in loads)


def main() -> None:
    """Parse the command line and run in a model store of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(BENTOML_HOME=home, BENTOML_DO_NOT_TRACK="True")
        os.environ.pop("TELLAPART_TOKEN", None)
        failed = run(options.backbone, options.seconds)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
