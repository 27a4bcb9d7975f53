"""How fast collecting is, how much memory it takes, and how fast and sure near-duplicates are found.

    python -m benchmarks.collect [--pictures 1500] [--img2dataset] [--urls 1000 10000] [--folder FOLDER]

Pictures are generated, 500 x 375 JPEG, no two files the same, and served on loopback by a process of its
own. `--img2dataset` installs that program into a temporary environment and runs it on the same server in
the same run. `--urls` are the runs whose memory is compared, with tiny pictures. FOLDER holds photographs,
however deep; near-duplicates made of them should be found, and unlike ones should not.
"""

import argparse
import asyncio
import io
import multiprocessing
import resource
import subprocess
import tempfile
import time
import venv
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from aiohttp import web
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.machine import machine
from curation.duplicates import NEAR, find_pairs, near_pairs, thumbnail
from scraping.collect import collect
from scraping.source import Candidate
from tellapart.dataset import Dataset
from tellapart.images import decode
from tellapart.names import ClassName, parse_class_names
from tellapart.pictures import inspect
from tellapart.progress import silent
from tellapart.settings import Settings

HOSTS = 16
LOOKS = 200
SIZES = (10_000, 100_000, 1_000_000)
MOST_PHOTOGRAPHS = 700
_SPAWN = multiprocessing.get_context("spawn")


def main() -> None:
    """Print the machine and the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--img2dataset", action="store_true", help="measure that program too (installs it)")
    parser.add_argument("--urls", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--folder", type=Path, help="photographs to make near-duplicates of")
    arguments = parser.parse_args()
    print(machine())
    with serving((500, 375)) as hosts:
        measure_throughput(hosts, arguments.pictures, arguments.img2dataset)
    with serving((40, 40)) as hosts:
        measure_memory(hosts, arguments.urls)
    measure_search()
    if arguments.folder:
        measure_recall(arguments.folder)


def measure_throughput(hosts: Sequence[str], pictures: int, other: bool) -> None:
    """Fetch, verify, hash and store."""
    ours = in_a_process(hosts, pictures)
    tell_throughput("fetched, verified, hashed, stored", ours, pictures)
    if other:
        theirs = img2dataset_run(hosts, pictures)
        tell_throughput("img2dataset, as fetched", theirs, pictures)
        row("ours to img2dataset", f"{theirs.seconds / ours.seconds:.2f}x")


def tell_throughput(name: str, run: "Run", pictures: int) -> None:
    """Pictures a second, and processor time, which other programs on the machine change less."""
    row(name, f"{pictures / run.seconds:.0f} pictures/s, {1000 * run.processor / pictures:.2f} ms processor time each")


def measure_memory(hosts: Sequence[str], counts: Sequence[int]) -> None:
    """The most memory a run took, for each number of addresses."""
    for count in counts:
        run = in_a_process(hosts, count)
        row(f"memory at most, {count} addresses", f"{run.megabytes} MB ({run.seconds:.0f} s)")


def measure_search() -> None:
    """Near pairs of random hashes, one in twenty made near to another; processor time, the best of three."""
    before = 0.0
    for count in SIZES:
        hashes = some_near(count)
        seconds = min(processor_time(hashes) for _ in range(3))
        growth = f", {seconds / before / 10:.2f}x linear" if before else ""
        row(f"near-duplicates among {count} hashes", f"{seconds:.3f} s{growth}")
        before = seconds


def measure_recall(folder: Path) -> None:
    """The share of changed copies that are found, and of unlike pairs that are taken for near."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    originals = [decode(path.read_bytes()) for path in files[:MOST_PHOTOGRAPHS]]
    half = [encode(image.resize((image.width // 2, image.height // 2)), 95) for image in originals]
    low = [encode(image, 60) for image in originals]
    mirrored = [encode(ImageOps.mirror(image), 70) for image in originals]
    first = [encode(image, 95) for image in originals]
    count = len(first)
    unlike = pairs_of(first)
    changed = (("resized to half", half), ("JPEG quality 60", low), ("mirrored, JPEG quality 70", mirrored))
    for name, copies in changed:
        found = pairs_of([*first, *copies])
        recall = sum((i, count + i) in found for i in range(count)) / count
        row(f"recall, {name} ({count} photographs)", f"{recall:.4f}")
    row("pairs among the originals taken for near", f"{len(unlike)} ({len(unlike) / (count * (count - 1) / 2):.1e})")


def pairs_of(files: Sequence[bytes]) -> set[tuple[int, int]]:
    """The near-duplicates that curation would group."""
    phashes = [inspect(data).phash for data in files]
    found = find_pairs(phashes, lambda i: thumbnail(decode(files[i])))
    return {(pair.first, pair.second) for pair in found}


def some_near(count: int) -> NDArray[np.uint64]:
    """Random hashes; the last twentieth differs in at most three bits from others."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    near = count // 20
    copies = hashes[random.integers(0, count - near, near)]
    for _ in range(3):
        copies ^= np.uint64(1) << random.integers(0, 64, near, dtype=np.uint64)
    hashes[-near:] = copies
    return hashes


def processor_time(hashes: NDArray[np.uint64]) -> float:
    """Of one search, so that other work on the machine does not count."""
    started = time.process_time()
    near_pairs(hashes, NEAR.bits)
    return time.process_time() - started


class Addresses:
    """A source of so many addresses, host after host."""

    name, local, remembered = "benchmark", True, True

    def __init__(self, hosts: Sequence[str], count: int) -> None:
        self._hosts, self._count = hosts, count

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:
        """Half of the addresses for each of the two classes, none of them held."""
        mine = islice(addresses(self._hosts, self._count), class_name.slug == "b", None, 2)
        yield from (Candidate(url, self.name, query, rank) for rank, url in enumerate(mine))

    def close(self) -> None:
        """Nothing is held."""


class Run(NamedTuple):
    """What a run took: seconds, seconds of processors from its program's start on, megabytes at most."""

    seconds: float
    processor: float
    megabytes: int = 0


def in_a_process(hosts: Sequence[str], count: int) -> Run:
    """Collect in a process of its own."""
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_collect, args=(there, hosts, count))
    process.start()
    there.close()
    answer: Run = here.recv()
    process.join()
    return answer


def addresses(hosts: Sequence[str], count: int) -> Iterator[str]:
    """So many addresses, spread over the hosts."""
    return (f"{host}/{n}.jpg" for n, host in enumerate(islice(cycle(hosts), count)))


def _collect(answer: Connection, hosts: Sequence[str], count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = Dataset.create(root / "set", "set", parse_class_names(["a", "b"]), ["benchmark"])
        started = time.perf_counter()
        summary = collect(dataset, [Addresses(hosts, count)], count, Settings(home=root), silent)
        seconds = time.perf_counter() - started
        if sum(summary.kept.values()) != count:
            raise SystemExit(f"{summary.kept} kept of {count}")
    used = resource.getrusage(resource.RUSAGE_SELF)
    answer.send(Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024))


def img2dataset_run(hosts: Sequence[str], count: int) -> Run:
    """The same by img2dataset, files written as they came; the seconds are from its download's start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        venv.create(root / "venv", with_pip=True)
        python = root / "venv" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "img2dataset", "setuptools<81"], check=True)
        (root / "urls.txt").write_text("\n".join(addresses(hosts, count)) + "\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([python, "-c", _IMG2DATASET, str(root)], check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        stored = sum(1 for _ in (root / "out").rglob("*.jpg"))
        if stored != count:
            print(f"img2dataset stored {stored} of {count}")
        processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        return Run(float((root / "seconds").read_text()), processor)


_IMG2DATASET = """
import os, sys, time
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
from img2dataset import download
if __name__ == "__main__":
    root = sys.argv[1]
    started = time.perf_counter()
    download(url_list=f"{root}/urls.txt", output_folder=f"{root}/out", output_format="files", input_format="txt",
             processes_count=2, thread_count=24, resize_mode="no", skip_reencode=True, number_sample_per_shard=750,
             compute_hash="sha256", enable_wandb=False)
    open(f"{root}/seconds", "w").write(str(time.perf_counter() - started))
"""


@contextmanager
def serving(size: tuple[int, int]) -> Generator[list[str], None, None]:
    """A server of pictures of that size on several loopback addresses, in a process of its own."""
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(there, size), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _serve(ready: Connection, size: tuple[int, int]) -> None:
    asyncio.run(_answer(ready, size))


async def _answer(ready: Connection, size: tuple[int, int]) -> None:
    pictures = [photo(seed, size) for seed in range(LOOKS)]

    async def give(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        return web.Response(body=with_comment(pictures[number % LOOKS], number), content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{number}.jpg", give)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for last in range(1, HOSTS + 1):
        await web.TCPSite(runner, f"127.0.0.{last}", 0).start()
    ready.send([f"http://{host}:{port}" for host, port, *_ in runner.addresses])
    await asyncio.Event().wait()


def photo(seed: int, size: tuple[int, int]) -> bytes:
    """A JPEG with as much detail as a photograph has."""
    random = np.random.default_rng(seed)
    shapes = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = random.normal(0, 6, (*size[::-1], 3))
    return encode(Image.fromarray(np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8)), 85)


def encode(image: Image.Image, quality: int) -> bytes:
    """A picture as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def with_comment(jpeg: bytes, number: int) -> bytes:
    """The same picture as another file: a comment behind the JPEG's first marker."""
    return jpeg[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + jpeg[2:]


def row(name: str, value: str) -> None:
    """One line of the table."""
    print(f"{name:<52}{value}", flush=True)


if __name__ == "__main__":
    main()
