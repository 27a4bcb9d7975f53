"""Which version answers for a name: the promoted one, or the one before where that cannot be loaded."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tellapart.catalogue import Catalogue
from tellapart.store import StoredModel
from tellapart.wire import ServiceError

_log = logging.getLogger(__name__)


class Versions:
    """Finds the version for each request and has it loaded before a batch asks for it.

    Args:
        load: has a version in memory, or raises ServiceError.
    """

    def __init__(self, catalogue: Catalogue, load: Callable[[StoredModel], Awaitable[None]]) -> None:
        self._catalogue, self._load = catalogue, load
        self._answering: dict[str, StoredModel] = {}  # by NAME, or "" for the default

    async def find(self, wanted: str) -> StoredModel:
        """The loaded version that answers for NAME, NAME:VERSION or "".

        A version that was promoted but cannot be loaded is passed over for the one that answered before it.

        Raises:
            ServiceError: `unknown_model`, `unusable_model`, or `not_ready`.
        """
        model = self._catalogue.known(wanted)
        if model is None:
            model = await asyncio.to_thread(self._catalogue.find, wanted)
        if wanted == model.tag:
            await self._load(model)
            return model
        try:
            await self._load(model)
        except ServiceError as error:
            before = self._answering.get(wanted)
            if error.code != "unusable_model" or before is None:
                raise
            _log.warning("%s answers on: %s", before.tag, error)
            await self._load(before)
            return before
        self._answering[wanted] = self._answering[model.name] = model
        return model
