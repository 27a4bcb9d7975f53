"""Which network addresses the fetcher may connect to, and the socket factory that holds to it.

The check sits where a socket is made for one resolved address, so neither a name that resolves
to something else a moment later nor a redirect gets around it.
"""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.connector import AddrInfoType

_TUNNELS = [
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
    )
]


class RefusedAddress(OSError):
    """A connection to an address that is not a public one; an OSError so that connecting goes on to the next."""

    def __init__(self) -> None:
        super().__init__("not a public address")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is a public one: not private, shared, reserved, multicast, or IPv4 inside IPv6."""
    if any(address.version == block.version and address in block for block in _TUNNELS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def socket_factory(local: bool) -> Callable[[AddrInfoType], socket.socket]:
    """A socket factory for aiohttp that refuses all but public addresses, and loopback ones where `local`."""

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, where = info
        address = ip_address(str(where[0]).partition("%")[0])
        if not is_public(address) and not (local and address.is_loopback):
            raise RefusedAddress
        return socket.socket(family, kind, protocol)

    return make
