"""How fast the service answers, beside the same classifier without HTTP and in other servers, all in one run.

    python -m benchmarks.serve [--backbone NAME] [--seconds 8] [--rounds 3] [--rivals] [--compile] [--mixed]
    python -m benchmarks.serve --requests 10000 [--compile]    only that many from 32 clients: none may fail

Makes a classifier (embedded weights, or random ones) in a temporary model store and pictures of 500 x 375 pixels. All
servers are up all the time, those not asked stopped by a signal; each round measures the in-process ceiling and every
server, so that a busy machine is busy for all of them, and ratios are medians over the rounds. Clients are one light
process (`benchmarks.loading`) on the same machine and take their share of it: "of ceiling" has it in, "clients out" is
what the server does of the ceiling in the processor time that clients leave. With --rivals LitServe, a plain FastAPI
application and BentoML's dispatcher are installed into a private environment and measured too, in the same form.
Exits with 1 if any answer below the queue's bound was not 200.
"""

import argparse
import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.loading import ROOT, Load, load
from benchmarks.machine import machine
from benchmarks.served import Served, alone, memory_mb, ours, rivals
from tellapart.hardware import cpus

CLIENTS = (1, 8, 32, 128)
MIXED = (1, 2, 10, 100)
CORES = cpus()
_Turn = tuple[Load, float]  # what clients saw, and the ceiling just before


def make_pictures(folder: Path, count: int = 32) -> list[Path]:
    """JPEG files of 500 x 375 pixels, about 40 kB, all different."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        blobs = Image.fromarray(rng.integers(0, 256, (38, 50, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        blobs.resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(buffer.getvalue())
    return paths


def make_classifiers(backbone_name: str, count: int) -> list[Path]:
    """Classifiers of ten classes over one backbone in the model store, the first promoted; their folders."""
    from tellapart import store
    from tellapart.backbones import EMBEDDED_BACKBONE
    from tellapart.bundle import BundleInfo, Head, write_bundle
    from tellapart.names import parse_class_names
    from tellapart.network import serialize
    from tellapart.weights import load_weights

    weights = load_weights(backbone_name, "auto" if backbone_name == EMBEDDED_BACKBONE else "none")
    backbone, data = weights.backbone, serialize(weights.module)
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
    tags = []
    for number in range(count):
        head = Head(np.full((10, backbone.feature_dim), number, np.float32), np.arange(10, dtype=np.float32))
        with store.new_model(f"benchmark{number}") as (folder, version):
            write_bundle(folder, info, data, head)
        tags.append(f"benchmark{number}:{version}")
    store.promote(tags[0])
    models = {m.tag: m.path for m in store.list_models()}
    return [models[tag] for tag in tags]


def ceiling(folder: Path, pictures: list[Path], seconds: float, form: str) -> float:
    """Pictures a second in one process, see `benchmarks.ceiling`."""
    command = [sys.executable, "-m", "benchmarks.ceiling", str(folder), str(seconds), form, *map(str, pictures)]
    return float(json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout))


def faster_form(home: Path, folder: Path, pictures: list[Path]) -> str:
    """What the ceiling is measured with: the compiled backbone, if there is one and it is faster."""
    compiled = [str(path) for path in (home / "tellapart" / "cache" / "compiled").glob("*.pt2")]
    if not compiled:
        return "eager"
    return max(["eager", *compiled], key=lambda form: ceiling(folder, pictures, 3.0, form))


def ask(served: Served, clients: int, seconds: float, pictures: list[Path], path: str = "/classify") -> Load:
    """Measure one server."""
    return asyncio.run(load(served.url, clients, seconds, pictures, path))


def compare(everyone: list[Served], folder: Path, pictures: list[Path], options: argparse.Namespace, form: str) -> int:
    """Ceiling and servers in turns; prints a table, returns how many answers of ours were not 200."""
    us, found, processor = everyone[0], dict[tuple[str, int], list[_Turn]](), list[float]()
    for _ in range(options.rounds):
        for served in everyone:
            for clients in options.clients if served is us else [32]:
                with alone(None, everyone):
                    top = ceiling(folder, pictures, options.seconds, form)
                with alone(served, everyone):
                    before = served.processor_seconds()
                    loaded = ask(served, clients, options.seconds, pictures)
                    spent = served.processor_seconds() - before
                found.setdefault((served.name, clients), []).append((loaded, top))
                if served is us:
                    processor.append(1000 * spent / max(1, len(loaded.latencies)))
    print_table(found)
    clients = median(1000 * one.processor / max(1, one.answers) for turns in found.values() for one, _ in turns)
    print(f"processor time a request: {median(processor):.1f} ms beside the model, {clients:.2f} ms of the clients")
    return sum(
        len(loaded.refused) for clients in options.clients if clients < 128 for loaded, _ in found[us.name, clients]
    )


def print_table(found: dict[tuple[str, int], list[_Turn]]) -> None:
    """Medians over the rounds; "of 32" is p99 in units of what 32 pictures take in process."""
    head = (
        "server                 ",
        "clients",
        "pictures/s",
        "of ceiling",
        "clients out",
        "p50 ms",
        "p95 ms",
        "p99 ms",
    )
    print("  ".join((*head, "of 32", "answers", "non-200")))
    for (name, clients), turns in found.items():
        rate, share = median(one.rate for one, _ in turns), median(one.rate / top for one, top in turns)
        without = median(one.rate / top / (1 - one.processor / one.seconds / CORES) for one, top in turns)
        p50, p95, p99 = (median(one.percentile_ms(p) for one, _ in turns) for p in (50, 95, 99))
        slow = median(one.percentile_ms(99) / (32_000 / top) for one, top in turns)
        answers, failed = sum(len(one.latencies) for one, _ in turns), sum(len(one.refused) for one, _ in turns)
        print(
            f"{name:23}  {clients:7d}  {rate:10.1f}  {share:10.2f}  {without:11.2f}  "
            f"{p50:6.0f}  {p95:6.0f}  {p99:6.0f}  {slow:5.1f}  {answers:7d}  {failed:7d}"
        )
    print(f"in process: {median(top for turns in found.values() for _, top in turns):.1f} pictures/s")


def mixed(served: Served, folders: list[Path], pictures: list[Path], options: argparse.Namespace) -> None:
    """Requests for several classifiers of one backbone, against requests for one."""
    rates: dict[int, list[float]] = {}
    for _ in range(options.rounds):
        for count in MIXED:
            paths = ",".join(f"/classify?model={folder.parent.name}" for folder in folders[:count])
            asyncio.run(load(served.url, 1, 600, pictures[:1], paths, most=count))  # so that all are in memory
            rates.setdefault(count, []).append(ask(served, 32, options.seconds, pictures, paths).rate)
    for count in MIXED[1:]:
        share = median(many / one for many, one in zip(rates[count], rates[1], strict=True))
        print(f"{count} classifiers mixed, 32 clients: {share:.2f} of one classifier's rate")


def burst(served: Served, pictures: list[Path], options: argparse.Namespace) -> None:
    """A lone client before and after many."""
    before = ask(served, 1, options.seconds, pictures).percentile_ms(50)
    ask(served, 128, 2.0, pictures)
    after = ask(served, 1, options.seconds, pictures).percentile_ms(50)
    print(f"a lone request's p50: {before:.0f} ms, after a burst {after:.0f} ms ({after / before:.2f})")


def overload(served: Served, pictures: list[Path], options: argparse.Namespace) -> None:
    """Requests begun at four times the rate that can be answered, against a queue that is just full."""
    full = ask(served, 128, options.seconds, pictures)
    over = asyncio.run(load(served.url, 0, options.seconds, pictures, "/classify", rate=4 * full.rate))
    print(
        f"overload, 4 x {full.rate:.0f} a second: {over.rate:.0f} answered, p99 {over.percentile_ms(99):.0f} ms "
        f"({over.percentile_ms(99) / full.percentile_ms(99):.2f} of 128 clients'); {len(over.refused)} refused, "
        f"p50 {over.percentile_ms(50, refused=True):.0f} ms, p99 {over.percentile_ms(99, refused=True):.0f} ms"
    )


def many(served: Served, pictures: list[Path], requests: int) -> int:
    """So many requests from 32 clients; prints and returns how many were not answered with 200."""
    print(machine())
    found = asyncio.run(load(served.url, 32, 86_400, pictures, "/classify", most=requests))
    failed = requests - len(found.latencies)
    print(f"{requests} requests at 32 clients in {found.seconds:.0f} s: {failed} not answered with 200")
    return failed


def run(options: argparse.Namespace, home: Path) -> int:
    """Measure and print; returns the number of answers that were not 200 and should have been."""
    pictures = make_pictures(home)
    folders = make_classifiers(options.backbone, max(MIXED) if options.mixed else 1)
    with ExitStack() as stack:
        everyone = [ours(stack)]
        if options.requests:
            return many(everyone[0], pictures, options.requests)
        form = faster_form(home, folders[0], pictures)
        if options.rivals:
            os.environ.update(RIVAL_BUNDLE=str(folders[0]), RIVAL_FORM=form)
            everyone += rivals(stack, home / "rivals")
        print(f"{machine()}; {options.backbone}, {'eager' if form == 'eager' else 'compiled'}")
        print(f"ready after {everyone[0].started:.1f} s; memory, MB: {memory_mb(everyone[0])}")
        failed = compare(everyone, folders[0], pictures, options, form)
        with alone(everyone[0], everyone):
            burst(everyone[0], pictures, options)
            overload(everyone[0], pictures, options)
            if options.mixed:
                mixed(everyone[0], folders, pictures, options)
        print(f"memory, MB: {memory_mb(everyone[0])}")
    return failed


def main() -> None:
    """Parse the command line and run in a model store of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS, help="that ask the service at once")
    parser.add_argument("--requests", type=int, default=0, help="send only so many, and measure nothing else")
    parser.add_argument("--rivals", action="store_true", help="measure other servers, too")
    parser.add_argument("--compile", action="store_true", help="compile the backbone before anything is measured")
    parser.add_argument("--mixed", action="store_true", help="measure requests for 2 to 100 classifiers, too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that all servers are stopped
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ.update(
            BENTOML_HOME=str(home),
            BENTOML_DO_NOT_TRACK="True",
            TELLAPART_HOME=str(home / "tellapart"),
            TELLAPART_COMPILE="on" if options.compile else "off",
            TELLAPART_TOKEN="",
        )
        failed = run(options, home)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
