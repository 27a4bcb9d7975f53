"""How many pictures at once and how many threads are fastest on this machine: measured, not guessed. Needs torch."""

import hashlib
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tellapart.errors import TellapartError
from tellapart.files import write_json
from tellapart.hardware import processor
from tellapart.network import FeatureExtractor

_BATCHES = (4, 8, 16)
_SECONDS, _ROUNDS = 0.1, 3  # of each measurement; the whole sweep takes some two seconds
_BUSY = 1.5  # load a core from which figures say more about others than about us
_MARGIN = 1.25  # a batch spread over cores waits for the slowest, and a front or a neighbour makes one slow
_ALIKE = 0.95  # of the fastest; what is measured so shortly is not known better

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tuning:
    """What the Runner works with.

    Attributes:
        batch: pictures that go through the network at once.
        streams: batches that are computed side by side.
        threads: cores that one batch uses.
        rate: pictures a second that were measured with it.
    """

    batch: int
    streams: int
    threads: int
    rate: float = 0.0


def tune(extractor: FeatureExtractor, side: int, cores: int, cache: Path, key: str, beside: Path) -> Tuning:
    """The fastest way on this machine, from the cache where it was measured before; the extractor's batch is set to it.

    Args:
        side: pixels of the network's input.
        cores: processor cores there are.
        key: names the backbone, its form, and whether it is compiled.
        beside: a file for what was measured on a busy machine: good enough for a Runner that is started
            again by the same server, and not for the next server.
    """
    depends = (key, side, cores, torch.__version__, processor(), platform.node())
    name = hashlib.sha256(repr(depends).encode()).hexdigest()[:32]
    file = cache / "tuning" / f"{name}.json"
    best = _kept(file, name) or _kept(beside, name)
    if best is None:
        best = choose(sweep(extractor, side, cores))
        _keep(best, beside if os.getloadavg()[0] > _BUSY * cores else file, name)
    extractor.at_once = best.batch
    return best


def _kept(file: Path, name: str) -> Tuning | None:
    try:
        return Tuning(**json.loads(file.read_text())[name])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _keep(best: Tuning, file: Path, name: str) -> None:
    try:
        write_json(file, {name: asdict(best)})
    except TellapartError as error:
        _log.warning("what was tuned is not kept: %s", error)


def choose(measured: Sequence[Tuning]) -> Tuning:
    """The fastest, where cores that wait for each other must be clearly faster than cores that do not.

    Of batches that are about as fast the largest, as each costs the front and the Runner the same whatever is in it.
    """
    fastest = max(measured, key=lambda t: t.rate / (_MARGIN if t.threads > 1 else 1))
    alike = [t for t in measured if t.threads == fastest.threads and t.rate >= _ALIKE * fastest.rate]
    return max(alike, key=lambda t: t.batch)


def sweep(extractor: FeatureExtractor, side: int, cores: int) -> list[Tuning]:
    """Measure every way, the best of some rounds as neighbours only make slower, and log a line each."""
    ways = [(*shared, batch) for shared in sorted({(cores, 1), (1, cores)}) for batch in _BATCHES]
    rates = dict.fromkeys(ways, 0.0)
    for way in ways * _ROUNDS:
        streams, threads, batch = way
        torch.set_num_threads(threads)
        extractor.at_once = batch
        rate = _rate(extractor, np.zeros((batch, side, side, 3), np.uint8), streams, threads, cores)
        rates[way] = max(rates[way], rate)
    for (streams, threads, batch), rate in rates.items():
        _log.info("tuning: batch %2d, %d streams of %d threads: %.0f pictures/s", batch, streams, threads, rate)
    return [Tuning(batch, streams, threads, round(rate, 1)) for (streams, threads, batch), rate in rates.items()]


def _rate(extractor: FeatureExtractor, pixels: NDArray[np.uint8], streams: int, threads: int, cores: int) -> float:
    """Pictures a second that all cores can do, by the processor time they take: neighbours do not count."""
    done = [0] * streams
    started, spent = time.perf_counter(), time.process_time()

    def work(number: int) -> None:
        torch.set_num_threads(threads)  # counts for the thread that says it
        while not done[number] or time.perf_counter() - started < _SECONDS:
            extractor(pixels)
            done[number] += len(pixels)

    _run([threading.Thread(target=work, args=(number,)) for number in range(streams)])
    return sum(done) * cores / max(1e-9, time.process_time() - spent)


def _run(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
