"""The Runner: the process that computes for the service's fronts. The only one that loads torch.

    python -m tellapart.runner SOCKET SUPERVISOR

It listens on a unix socket that only its user can reach, and serves every connection in a thread, one message
after the other. It ends with the fronts and their supervisor, which is a process: while that lives, other fronts may
come (`tellapart.fronts`).

On a processor this command is two processes: one that imports torch and does nothing else (`tellapart.keeper`), and
the Runner that it forks, and forks again when that is killed.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from tellapart.classifier import Loader
from tellapart.engine import Engine
from tellapart.forms import Forms
from tellapart.fronts import Fronts
from tellapart.hardware import cpus, keep_freed_memory, visible_gpus
from tellapart.keeper import keep
from tellapart.messages import (
    GOODBYE,
    ORDINARY,
    UNOPENED,
    WATCH,
    Closed,
    Head,
    Piece,
    pack,
    receive_blocking,
    send_blocking,
    write_answers,
)
from tellapart.network import CPU_BATCH, pick_device
from tellapart.preprocess import Preprocessing
from tellapart.settings import load_settings
from tellapart.shared_buffer import open_buffer
from tellapart.stopping import STOP_SIGNALS, let_signals_come
from tellapart.tuning import Tuning, tune
from tellapart.verbosity import log_as_runner
from tellapart.wire import ServiceError

GPU_TUNING = Tuning(batch=64, streams=2, threads=1)
_ACCEPT_AGAIN_S = 0.1

_BATCHES = ("answer", "read")

_log = logging.getLogger("tellapart.runner")  # `__name__` is "__main__" here
Reply = tuple[Head, list[Piece]]


class Runner:
    """Serves connections on a listening socket, computing as many batches side by side as was tuned.

    Args:
        fronts: whom it works for.
        tune: called with the folder of a classifier, until one could be tuned with.
        tuning: what is worked with until then.
        together: whether batches that come at the same time are computed together, so that none waits for its turn.
    """

    def __init__(
        self,
        engine: Engine,
        fronts: Fronts,
        tune: Callable[[str], Tuning | None],
        tuning: Tuning,
        together: bool = False,
    ) -> None:
        self._engine, self._fronts, self._tune, self._tuning, self._together = engine, fronts, tune, tuning, together
        self._tuned = False
        self._preparing = threading.Lock()
        self._streams = threading.Semaphore(tuning.streams)
        self._done = False

    def serve(self, listening: socket.socket) -> None:
        """Accept connections until fronts and supervisor have ended, or no front came for a minute."""
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        self._fronts.wait()
        self._done = True

    def _accept(self, listening: socket.socket) -> None:
        while not self._done:
            try:
                connection, _ = listening.accept()
            except OSError as error:  # there are too many open files
                _log.warning("no connection can be accepted: %s", error)
                time.sleep(_ACCEPT_AGAIN_S)
            else:
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        shared: memoryview | None = None
        with connection, contextlib.suppress(Closed):
            while True:
                head, body = receive_blocking(connection)
                if head["do"] == WATCH:
                    self._watch(connection, head)
                if "shared" in head:
                    shared = shared or _opened(head["shared"])
                    if shared is None:
                        send_blocking(connection, pack({UNOPENED: True}))
                        continue
                head, parts = self._reply(head, shared[: head["size"]] if shared and "shared" in head else body)
                send_blocking(connection, pack(head, *parts))

    def _watch(self, connection: socket.socket, front: Head) -> NoReturn:
        """Wait for a front's end."""
        self._fronts.came()
        killed = True
        try:
            killed = receive_blocking(connection)[0]["do"] != GOODBYE
        finally:
            self._fronts.gone(front["front"], killed)
        raise Closed("the front ended")

    def _reply(self, head: Head, body: bytearray | memoryview) -> Reply:
        try:
            with self._streams if head["do"] in _BATCHES and not self._together else contextlib.nullcontext():
                started = time.perf_counter()
                reply, parts = getattr(self, f"_{head['do']}")(head, np.frombuffer(body, np.uint8))
                return {**reply, "seconds": time.perf_counter() - started}, parts
        except ServiceError as error:
            return {"code": error.code, "message": str(error)}, []
        except Exception as error:  # without a reply the connection would be of no use any more, and nobody would know
            _log.exception("%s failed", head["do"])
            if isinstance(error, torch.AcceleratorError):
                os._exit(1)  # a GPU that failed answers nothing more in this process; the front starts another
            if isinstance(error, MemoryError | torch.OutOfMemoryError):
                return {"code": "overloaded", "message": "there is not enough memory. Try again in a moment"}, []
            return {"code": "internal", "message": "the Runner failed. Its log says why"}, []

    def _prepare(self, head: Head, _: Any) -> Reply:
        with self._preparing:
            if head["folder"] and not self._tuned and (tuning := self._tune(head["folder"])):
                self._tuning, self._tuned = tuning, True
                self._streams = threading.Semaphore(tuning.streams)
        return {**asdict(self._tuning), "tuned": self._tuned}, []

    def _load(self, head: Head, _: Any) -> Reply:
        self._engine.load(head["folder"])
        return {}, []

    def _answer(self, head: Head, body: Any) -> Reply:
        torch.set_num_threads(self._tuning.threads)  # counts for the thread that says it
        return write_answers(self._engine.answer(body.reshape(head["shape"]), head["folders"]))

    def _read(self, head: Head, body: Any) -> Reply:
        """As `_answer` for files; what is not decoded here has no size and no answer."""
        torch.set_num_threads(self._tuning.threads)
        started = time.perf_counter()
        ends = np.cumsum(head["lengths"])
        files = (body[end - length : end].tobytes() for end, length in zip(ends, head["lengths"], strict=True))
        sizes, pixels = Preprocessing.from_json(head["preprocessing"]).read_all(files, ORDINARY)
        decoded = time.perf_counter() - started
        folders = [folder for folder, size in zip(head["folders"], sizes, strict=True) if size]
        reply, parts = write_answers(self._engine.answer(pixels, folders))
        return {**reply, "sizes": sizes, "decoding": decoded}, parts

    def _look(self, head: Head, body: Any) -> Reply:
        probabilities, none, asked, heat = self._engine.look(
            body.reshape(head["shape"]), head["folder"], head["class_name"]
        )
        reply = {"none_of_these": none, "asked": asked, "classes": len(probabilities), "heat": heat.shape}
        return reply, [np.concatenate([probabilities, heat.ravel()], dtype=np.float32).data.cast("B")]

    def _nearest(self, head: Head, body: Any) -> Reply:
        found = self._engine.nearest(body.reshape(head["shape"]), head["folder"], head["count"])
        return {"neighbours": [(n.sha256, n.class_index, n.similarity) for n in found]}, []


def _opened(path: str) -> memoryview | None:
    """A front's memory; None where it ended meanwhile, or may not be looked into, as where Python has capabilities."""
    try:
        return open_buffer(path)
    except OSError as error:
        _log.warning("pictures come through the socket: %s", error)
        return None


def work(path: Path, supervisor: int) -> None:
    """Listen on a socket at that path until fronts and supervisor have gone, then take away what was made beside it."""
    keep_freed_memory()
    settings = load_settings()
    device = pick_device("auto")
    forms = Forms(settings.compiled, settings.cache, cpus())
    engine = Engine(Loader(device), settings.model_memory, forms)
    has_gpu = device.type == "cuda"
    untuned = GPU_TUNING if has_gpu else Tuning(batch=CPU_BATCH, streams=cpus(), threads=1)
    beside = path.with_suffix(".json")
    with socket.socket(socket.AF_UNIX) as listening:
        path.unlink(missing_ok=True)  # of one that was killed
        listening.bind(str(path))
        listening.listen(64)
        Runner(
            engine,
            Fronts(supervisor),
            lambda folder: _tuned(engine, forms, folder, settings.cache, beside),
            untuned,
            together=has_gpu,
        ).serve(listening)
    for file in (path, path.with_suffix(".lock"), beside):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others may live there
        path.parent.rmdir()
    os._exit(0)  # a thread may still compute what nobody waits for


def _tuned(engine: Engine, forms: Forms, folder: str, cache: Path, beside: Path) -> Tuning | None:
    """What is fastest for a classifier's backbone in the form it will have; None where it cannot be loaded."""
    try:
        classifier = engine.load(folder)
    except ServiceError as error:  # a request for it gets the reason
        _log.warning("%s", error)
        return None
    forms.wait()
    extractor, side, tuning = classifier.extractor, classifier.info.preprocessing.crop, GPU_TUNING
    if extractor.device.type == "cpu":
        key = f"{classifier.info.backbone} {extractor.form} {extractor.is_compiled(side)}"
        tuning = tune(extractor, side, cpus(), cache, key, beside)
        torch.set_num_threads(tuning.threads)
        engine.at_once = tuning.batch
    extractor.warm_up(side, tuning.batch)
    _log.info("works with %s", tuning)
    return tuning


def main(path: Path, supervisor: int) -> int:
    """Be a Runner, or keep one."""
    log_as_runner()
    # the supervisor signals all processes below it at once, but a front still finishes what is in flight
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    let_signals_come()
    if visible_gpus():  # what has used CUDA cannot be forked
        work(path, supervisor)
    return keep(lambda: work(path, supervisor))


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), int(sys.argv[2]))
    os._exit(code)  # an ordinary end has libraries print what the keeper had frozen
