"""How many bytes of request bodies are taken, and how slowly they may come."""

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive

from tellapart.wire import ServiceError

PATIENCE_S = 20.0
LEAST_RATE = 32 * 1024


class CountedBody:
    """Counts the bytes that really come, whatever Content-Length said, and gives up on a body that hardly does.

    After `PATIENCE_S` seconds a body must have come at `LEAST_RATE` bytes a second.

    Args:
        receive: gives the body's next message.
        limit: most bytes, 0 for a path that takes none: what comes is not looked at.
        take: called with each further size; may refuse.

    Attributes:
        taken: bytes that `take` was told of.
    """

    def __init__(self, receive: Receive, limit: int, take: Callable[[int], None]) -> None:
        self._receive, self._limit, self._take = receive, limit, take
        self._started = asyncio.get_running_loop().time()
        self._whole = not limit
        self.taken = 0

    async def receive(self) -> Message:
        """The next message.

        Raises:
            ServiceError: `too_large`, `too_slow`, or what `take` raises.
        """
        if self._whole:
            return await self._receive()
        message = await self._receive_in_time()
        self._whole = not message.get("more_body", False)
        size = len(message.get("body", b""))
        if self.taken + size > self._limit:
            raise too_large(self._limit)
        self._take(size)
        self.taken += size
        return message

    async def _receive_in_time(self) -> Message:
        try:
            async with asyncio.timeout_at(self._started + PATIENCE_S + self.taken / LEAST_RATE):
                return await self._receive()
        except TimeoutError:
            raise ServiceError("too_slow", f"the body comes at less than {LEAST_RATE >> 10} KB a second") from None


def too_large(limit: int) -> ServiceError:
    """The error for a body with more bytes than the limit."""
    return ServiceError("too_large", f"the request has more than {limit / 2**20:.0f} MB. Send less at once")
