"""A mail server on loopback."""

import socket
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

_PATIENCE = 60.0  # seconds, on a machine that is busy with other things


class Inbox(Controller):
    """Keeps what comes, as (sender, recipients, message); refuses a recipient who is told to be refused.

    It listens from the start on a port that the system gives it, `port`, which so cannot be taken by another.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], Message]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        super().__init__(self, hostname="127.0.0.1", port=self._socket.getsockname()[1], ready_timeout=_PATIENCE)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._socket)

    async def handle_RCPT(self, _1: Any, _2: Any, envelope: Any, address: str, _3: Any) -> str:  # noqa: N802
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _1: Any, _2: Any, envelope: Any) -> str:  # noqa: N802
        self.got.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"
