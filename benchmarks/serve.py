"""How fast the service answers, beside the same classifier without HTTP and in other servers, all in one run.

    python -m benchmarks.serve [--backbone NAME] [--seconds 8] [--rounds 3] [--rivals] [--compile] [--mixed]
    python -m benchmarks.serve --requests 10000 [--compile]    only that many from 32 clients: none may fail

Makes a classifier (embedded weights, or random ones) in a temporary model store and pictures of 500 x 375 pixels. All
servers are up all the time, those not asked stopped by a signal; each round measures the in-process ceiling and every
server, so that a busy machine is busy for all of them, and ratios are medians over the rounds. Clients are one light
process (`benchmarks.loading`) on the same machine and take their share of it: "of ceiling" has it in, "clients out" is
what the server does of the ceiling in the processor time that clients leave. With --rivals LitServe, a plain FastAPI
application and BentoML's dispatcher are installed into a private environment and measured too, in the same form.
Judges its aims at the end, and exits with 1 where one is missed.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.aims import Aim, judge
from benchmarks.loading import Load, load
from benchmarks.machine import ROOT, home_of_its_own, machine
from benchmarks.served import Served, alone, memory_mb, ours, rivals
from benchmarks.stack import make_pictures
from benchmarks.turns import Turns, client_ms, judged, print_table

CLIENTS = (1, 8, 32, 128)
MIXED = (1, 2, 10, 100)


def write_pictures(folder: Path, count: int = 32) -> list[Path]:
    """The files of so many pictures."""
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path, picture in zip(paths, make_pictures(count), strict=True):
        path.write_bytes(picture)
    return paths


def make_classifiers(backbone_name: str, count: int) -> list[Path]:
    """Classifiers of ten classes over one backbone in the model store, the first promoted; their folders."""
    from tellapart import store
    from tellapart.backbones import EMBEDDED_BACKBONE
    from tellapart.bundle import BundleInfo, write_bundle
    from tellapart.head import Head
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


def ceiling(folder: Path, pictures: list[Path], seconds: float, form: str) -> tuple[float, float]:
    """Pictures a second in one process, and milliseconds of the model alone, see `benchmarks.ceiling`."""
    command = [sys.executable, "-m", "benchmarks.ceiling", str(folder), str(seconds), form, *map(str, pictures)]
    rate, model_ms = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return rate, model_ms


def faster_form(home: Path, folder: Path, pictures: list[Path]) -> str:
    """What the ceiling is measured with: the compiled backbone, if there is one and it is faster."""
    compiled = [str(path) for path in (home / "home" / "cache" / "compiled").glob("*.pt2")]
    if not compiled:
        return "eager"
    return max(["eager", *compiled], key=lambda form: ceiling(folder, pictures, 3.0, form)[0])


def ask(served: Served, clients: int, seconds: float, pictures: list[Path], path: str = "/classify") -> Load:
    """Measure one server."""
    return asyncio.run(load(served.url, clients, seconds, pictures, path))


def compare(
    everyone: list[Served], folder: Path, pictures: list[Path], options: argparse.Namespace, form: str
) -> list[Aim]:
    """Ceiling and servers in turns; prints a table."""
    us, found, beside = everyone[0], Turns(), list[float]()
    for _ in range(options.rounds):
        for served in everyone:
            for clients in options.clients if served is us else [32]:
                with alone(None, everyone):
                    top, model_ms = ceiling(folder, pictures, options.seconds, form)
                with alone(served, everyone):
                    before = served.processor_seconds()
                    loaded = ask(served, clients, options.seconds, pictures)
                    spent = served.processor_seconds() - before
                found.setdefault((served.name, clients), []).append((loaded, top))
                if served is us:
                    beside.append(1000 * spent / max(1, len(loaded.latencies)) - model_ms)
    print_table(found)
    print(
        f"processor time a request: {median(beside):.1f} ms beside the model, {client_ms(found):.2f} ms of the clients"
    )
    return [*judged(found, us.name), Aim("ms of a core a request beside the model", median(beside), 5.0, True, 1)]


def mixed(served: Served, folders: list[Path], pictures: list[Path], options: argparse.Namespace) -> list[Aim]:
    """Requests for several classifiers of one backbone, against requests for one."""
    rates: dict[int, list[float]] = {}
    for _ in range(options.rounds):
        for count in MIXED:
            paths = ",".join(f"/classify?model={folder.parent.name}" for folder in folders[:count])
            asyncio.run(load(served.url, 1, 600, pictures[:1], paths, most=count))  # so that all are in memory
            rates.setdefault(count, []).append(ask(served, 32, options.seconds, pictures, paths).rate)
    shares = {count: [many / one for many, one in zip(rates[count], rates[1], strict=True)] for count in MIXED[1:]}
    return [
        Aim(f"of one classifier's rate, {count} mixed", median(each), 0.85, False, 2) for count, each in shares.items()
    ]


def burst(served: Served, pictures: list[Path], options: argparse.Namespace) -> list[Aim]:
    """A lone client before and after many."""
    before = ask(served, 1, options.seconds, pictures).percentile_ms(50)
    ask(served, 128, 2.0, pictures)
    after = ask(served, 1, options.seconds, pictures).percentile_ms(50)
    print(f"a lone request's p50: {before:.0f} ms, after a burst {after:.0f} ms")
    return [Aim("a lone request's p50 after a burst, by that before", after / before, 1.2, True, 2)]


def overload(served: Served, pictures: list[Path], options: argparse.Namespace) -> list[Aim]:
    """Requests begun at four times the rate that can be answered, against a queue that is just full."""
    full = ask(served, 128, options.seconds, pictures)
    over = asyncio.run(load(served.url, 0, options.seconds, pictures, "/classify", rate=4 * full.rate))
    refused = over.percentile_ms(50, refused=True)
    print(
        f"overload, 4 x {full.rate:.0f} a second: {over.rate:.0f} answered, p99 {over.percentile_ms(99):.0f} ms; "
        f"{len(over.refused)} refused, p50 {refused:.0f} ms, p99 {over.percentile_ms(99, refused=True):.0f} ms"
    )
    return [
        Aim(
            "p99 at 4 times the load, by that of 128 clients",
            over.percentile_ms(99) / full.percentile_ms(99),
            2,
            True,
            2,
        ),
        Aim("ms that a refusal takes at the median", refused, 50.0, True, 0),
    ]


def many(served: Served, pictures: list[Path], requests: int) -> list[Aim]:
    """So many requests from 32 clients."""
    print(machine())
    found = asyncio.run(load(served.url, 32, 86_400, pictures, "/classify", most=requests))
    failed = requests - len(found.latencies)
    print(f"{requests} requests at 32 clients in {found.seconds:.0f} s")
    return [Aim(f"not 200 of {requests} requests", float(failed), 0.0, True, 0)]


def run(options: argparse.Namespace, home: Path) -> list[Aim]:
    """Measure and print."""
    pictures = write_pictures(home)
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
        aims = compare(everyone, folders[0], pictures, options, form)
        with alone(everyone[0], everyone):
            aims += burst(everyone[0], pictures, options) + overload(everyone[0], pictures, options)
            aims += mixed(everyone[0], folders, pictures, options) if options.mixed else []
        print(f"memory, MB: {memory_mb(everyone[0])}")
    return aims


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
    with home_of_its_own() as home:
        os.environ["TELLAPART_COMPILE"] = "on" if options.compile else "off"
        status = judge(run(options, home))
    sys.exit(status)


if __name__ == "__main__":
    main()
