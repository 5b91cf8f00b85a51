"""The address that the server listens on."""

from __future__ import annotations

import os
import socket

from runwire.errors import InvalidError, UnavailableError
from runwire.server.origins import is_loopback


class OpenAddressError(InvalidError):
    """The server was told to listen beyond loopback, where anybody could call it, without a token."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"to listen on {host!r}, set RUNWIRE_TOKEN, auth.token, auth.tokens or auth.jwt: beyond loopback callers"
            " must present a token"
        )


class AddressUnavailableError(UnavailableError):
    """The address cannot be listened on: another program does, or it is not this machine's."""

    def __init__(self, host: str, port: int, problem: str) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"cannot listen on {host} port {port}: {problem}; choose another host or port"
        )


def check_address(host: str, *, demands_token: bool) -> None:
    """Refuses to be open to the network.

    Raises:
        OpenAddressError: the host is not loopback, and no token is demanded.
    """
    if not demands_token and not is_loopback(host):
        raise OpenAddressError(host)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 means any that is free.

    Raises:
        AddressUnavailableError: it is in use, or not an address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # Of the two addresses of localhost, the one that every client tries.
        family, *_, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (UnicodeError, OverflowError, ValueError):
        raise AddressUnavailableError(host, port, "it is no name of a host") from None
    except OSError as error:
        known = isinstance(error, socket.gaierror) or not error.errno
        problem = str(error.strerror or error) if known else os.strerror(error.errno or 0)
        raise AddressUnavailableError(host, port, problem.lower()) from None


def url_of(host: str, listener: socket.socket, scheme: str = "http") -> str:
    """The address of a listening socket for people and clients, without path."""
    port = listener.getsockname()[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
