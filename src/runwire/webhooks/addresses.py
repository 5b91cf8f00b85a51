"""Which addresses of the network may be connected to."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefusedError(OSError):
    """The address is not of the public internet."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"{address} is not an address of the public internet; set allow_private_networks if it is meant"
        )


def is_public(text: str) -> bool:
    """Whether an address is of the public internet.

    Not so are private, loopback, link-local (the metadata services of clouds among them), shared, reserved and
    multicast ones, and IPv6 addresses that lead to such an IPv4 address.

    Args:
        text: the address, with or without a zone.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv4Address):
        return _is_global(address)
    if address in _NAT64:
        return _is_global(IPv4Address(int(address) & 0xFFFFFFFF))
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return _is_global(inner)
    return _is_global(address) and address.teredo is None


def public_socket(place: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that is about to be connected to, as `socket.getaddrinfo` tells it.

    Raises:
        AddressRefusedError: the address is not of the public internet.
    """
    family, kind, protocol, _, address = place
    if not is_public(address[0]):
        raise AddressRefusedError(address[0])
    return socket.socket(family, kind, protocol)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved)
