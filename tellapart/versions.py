"""Which version answers for a name: the promoted one, once it is in memory, and the one before until then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tellapart.catalogue import Catalogue
from tellapart.store import StoredModel
from tellapart.wire import ServiceError

FOLLOW_S = 0.5

_log = logging.getLogger(__name__)


class Versions:
    """Finds the version for each request and has it loaded before a batch asks for it.

    A name that was asked for goes on answering with the same version until `follow` has the next one in memory, so
    that no request waits for a promotion, and one that cannot be loaded is passed over.

    Args:
        load: has a version in memory, or raises ServiceError.
    """

    def __init__(self, catalogue: Catalogue, load: Callable[[StoredModel], Awaitable[None]]) -> None:
        self._catalogue, self._load = catalogue, load
        self._answering: dict[str, StoredModel] = {}  # by NAME, or "" for the default
        self._refused: dict[str, str] = {}  # what was said of those that cannot be loaded, so that it is said once

    async def find(self, wanted: str) -> StoredModel:
        """The loaded version that answers for NAME, NAME:VERSION or "".

        Raises:
            ServiceError: `unknown_model`, `unusable_model`, or `not_ready`.
        """
        model = self._answering.get(wanted) or await self._look_up(wanted)
        try:
            await self._load(model)
        except ServiceError as error:
            if error.code == "unusable_model" and self._answering.get(wanted) is model:
                self._answering.pop(wanted)  # of a Runner that started since; the store may have another version
            raise
        if wanted != model.tag:
            self._answering.setdefault(wanted, model)  # while this one was loaded, a later one may have come
        return model

    async def follow(self) -> None:
        """Load what was promoted in place of what answers, and then let it answer; for ever.

        No name waits for what is loaded for another.
        """
        under_way: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(FOLLOW_S)
                for wanted, before in self._answering.items():
                    if wanted not in under_way or under_way[wanted].done():
                        under_way[wanted] = tasks.create_task(self._follow(wanted, before))

    async def _follow(self, wanted: str, before: StoredModel) -> None:
        try:
            model = await self._look_up(wanted)
            if model.tag != before.tag:
                await self._load(model)
                self._answering[wanted] = model
        except ServiceError as error:
            if error.code == "unknown_model":
                self._answering.pop(wanted, None)
            elif error.code == "unusable_model" and self._refused.get(wanted) != str(error):
                self._refused[wanted] = str(error)
                _log.warning("%s answers on: %s", before.tag, error)
        except Exception:
            _log.exception("what was promoted for %r is not followed", wanted)

    async def _look_up(self, wanted: str) -> StoredModel:
        known = self._catalogue.known(wanted)
        return known if known else await asyncio.to_thread(self._catalogue.find, wanted)
