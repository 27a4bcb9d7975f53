"""Keeps a process at work that may be killed: another one is forked at once from what has loaded its modules already.

Importing torch takes some seconds of a core, and many more where clients ask on; a forked process has it. Both share
the memory of what was imported. Nothing else may have happened before: a process that has started threads or used CUDA
cannot be forked.
"""

import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

_LEAST_S = 1.0  # between two starts

_log = logging.getLogger(__name__)


def keep(work: Callable[[], object]) -> int:
    """Fork a process that works, and another one whenever a signal ended it.

    Where this process is killed itself, the one that works goes on, and nobody forks another.

    Returns:
        the status with which one ended by itself.
    """
    if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        _log.warning("what is forked may hang, as %d threads run already", threads)
    gc.collect()
    gc.freeze()  # a collection in the forked process would copy the pages of all it looks at
    while True:
        began = time.monotonic()
        child = os.fork()
        if not child:
            _work(work)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status >= 0:
            return status
        _log.warning("process %d was ended by: %s; another is forked", child, signal.strsignal(-status) or -status)
        time.sleep(max(0.0, began + _LEAST_S - time.monotonic()))


def _work(work: Callable[[], object]) -> None:
    status = 1
    try:
        work()
        status = 0
    except Exception:
        _log.exception("process %d failed", os.getpid())
    finally:
        os._exit(status)  # what was forked must not go on where it was forked from
