"""Which network addresses may be connected to on behalf of others, and the socket factory that holds to it.

The check sits where a socket is made for one resolved address, so neither a name that resolves
to something else a moment later nor a redirect gets around it.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.abc import AbstractResolver
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import DefaultResolver

Address = IPv4Address | IPv6Address

_NOT_PUBLIC = [  # beside what `is_global` knows
    ip_network(block)
    for block in (
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "fec0::/10",  # site-local, deprecated
        "192.88.99.0/24",  # 6to4 relays
        "192.0.0.0/24",  # protocol assignments; the machine's own data on some clouds
        "3fff::/20",  # documentation
    )
]


class RefusedAddress(OSError):
    """A connection to an address that is not a public one; an OSError so that connecting goes on to the next."""

    def __init__(self) -> None:
        super().__init__("not a public address")


def is_public(address: Address) -> bool:
    """Whether an address is a public one: not private, shared, reserved, multicast, or IPv4 inside IPv6."""
    if any(address.version == block.version and address in block for block in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def may_connect(address: Address, local: bool) -> bool:
    """Whether a connection may be made: to public addresses, and to loopback ones for a source that is `local`."""
    return is_public(address) or (local and address.is_loopback)


@dataclass(frozen=True)
class Network:
    """How host names are looked up and which addresses may be connected to.

    Attributes:
        resolver: makes what looks names up, inside the event loop.
        admits: (address, local) -> whether a socket for it may be made.
    """

    resolver: Callable[[], AbstractResolver] = DefaultResolver
    admits: Callable[[Address, bool], bool] = may_connect


async def look_up(network: Network, host: str) -> list[Address]:
    """All the addresses that a host's name stands for now.

    Raises:
        OSError: there is none.
    """
    with suppress(ValueError):
        return [ip_address(host)]
    resolver = network.resolver()
    try:
        found = await resolver.resolve(host, 0, socket.AF_UNSPEC)
    finally:
        await resolver.close()
    return [ip_address(answer["host"].partition("%")[0]) for answer in found]


def socket_factory(network: Network, local: bool) -> Callable[[AddrInfoType], socket.socket]:
    """A socket factory for aiohttp that makes none for an address the network does not admit."""

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, where = info
        if not network.admits(ip_address(str(where[0]).partition("%")[0]), local):
            raise RefusedAddress
        return socket.socket(family, kind, protocol)

    return make
