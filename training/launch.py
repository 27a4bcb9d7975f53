"""The command under torchrun: the first process does the work, the others follow it. Needs torch only there."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.distributed import World


@contextmanager
def processes(device: str, environ: Mapping[str, str] = os.environ) -> Iterator["World | None"]:
    """The processes that torchrun started, None where there is this one alone.

    Raises:
        TellapartError: another process ended, or they do not find each other.
        UsageError: no such device.
    """
    if environ.get("WORLD_SIZE", "1") == "1" or "RANK" not in environ:
        yield None
        return
    from training.distributed import joined

    with joined(device, environ) as world:
        yield world
        if world.leads:
            world.send()


def followed(world: "World | None") -> bool:
    """Whether this process is not the first, and has taken part in all that the first one did."""
    if world is None or world.leads:
        return False
    from training.finetune import follow

    follow(world)
    return True
