"""Independent pieces of work on all cores, each process taking its share: for what holds the interpreter's lock.

The steps of a fit are too short for threads, which wait for one another at each. A forked process has everything the
work needs without being sent it, in 20 ms; only results are sent. It must not use torch, whose threads it has not.
"""

import gc
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TypeVar

from tellapart.hardware import cpus
from tellapart.stopping import end_with_parent, let_signals_come, signals_held

T = TypeVar("T")
R = TypeVar("R")
_PAYS = 0.2  # seconds that are left to do


def forked_map(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Results of `work` in the order of `items`: the first by this process, the others by it and forked ones in turn.

    How long the first took says whether it pays to fork. What a process that ended, or could not be had, has left
    undone is done here, where what went wrong is raised. A forked process forks no further one.
    """
    if not items:
        return
    begun = time.thread_time()
    first = work(items[0])
    rest = items[1:]
    count = min(cpus(), len(rest)) if _may_fork() and (time.thread_time() - begun) * len(rest) > _PAYS else 1
    yield first
    with ExitStack() as stack:
        others = [stack.enter_context(_process(work, rest[i::count])) for i in range(1, count)]
        for place, item in enumerate(rest):
            number = place % count
            yield _received(others[number - 1], work, item) if number else work(item)


@contextmanager
def imports_left_alone() -> Iterator[None]:
    """Garbage is not looked for among what is there already: half a million objects that were imported and stay."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _may_fork() -> bool:
    return not multiprocessing.current_process().daemon  # as those that are forked here are


@contextmanager
def _process(work: Callable[[T], R], items: Sequence[T]) -> Iterator[Connection]:
    """What a process that does `work` on `items` sends, one result after the other."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_results, args=(work, items, theirs), daemon=True)
    try:
        with signals_held(), suppress(OSError):  # until it has handlers of its own; there may be no more processes
            process.start()
        theirs.close()  # so that the end of the process is an end of what is received
        with ours:
            yield ours
    finally:
        if process.pid:
            process.terminate()
            process.join()


def _send_results(work: Callable[[T], R], items: Sequence[T], to: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    let_signals_come()
    end_with_parent()
    gc.freeze()  # what was garbage before, on a GPU perhaps, is for the process that made it
    with suppress(Exception):
        for item in items:
            to.send(work(item))


def _received(results: Connection, work: Callable[[T], R], item: T) -> R:
    try:
        found: R = results.recv()
    except (EOFError, OSError):
        return work(item)
    return found
