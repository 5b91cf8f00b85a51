"""Whether the Host and Origin of a request are ones that the server answers.

A server on loopback asks nobody who they are, so it must not be reachable through a browser that shows a
foreign page: neither by a name that the page's owner points at 127.0.0.1 (the Host tells), nor by a request
that the page sends across origins (the Origin tells).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without port, is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class OriginRules:
    """Which Hosts and Origins are answered.

    Args:
        demand_loopback: whether the Host must name this machine, or be one of the allowed.
        allowed_hosts: Hosts that are answered as well; without a port they stand for any.
        allowed_origins: Origins that are answered besides that of the server itself.

    Raises:
        ValueError: an allowed origin is none, or an allowed host is none.
    """

    def __init__(
        self, demand_loopback: bool, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]
    ) -> None:
        self._demand_loopback = demand_loopback
        self._hosts = {_required_host(host) for host in allowed_hosts}
        self._origins = {_required_origin(origin) for origin in allowed_origins}

    def refusal(self, host: str | None, origin: str | None) -> str | None:
        """Why a request with these headers is refused; None when it is answered."""
        parsed = _parse_host(host or "")
        if parsed is None:
            return f"the Host header is not one: {host!r}"
        if not self._admits_host(*parsed):
            return (
                f"the Host {host!r} is not answered; call the server by a loopback address, or add the"
                " host to server.allowed_hosts"
            )
        if origin is not None and not self._admits_origin(origin, *parsed):
            return (
                f"the Origin {origin!r} is not answered; if its pages may call this server, add it to"
                " server.allowed_origins"
            )
        return None

    def _admits_host(self, name: str, port: int | None) -> bool:
        if (name, port) in self._hosts or (name, None) in self._hosts:
            return True
        return is_loopback(name) if self._demand_loopback else not self._hosts

    def _admits_origin(self, text: str, host: str, port: int | None) -> bool:
        origin = _parse_origin(text)
        if origin is None:
            return False
        # A proxy may speak https to the page and http to us, so the page's scheme says which port is meant.
        scheme, *place = origin
        default = _DEFAULT_PORTS.get(scheme)
        return origin in self._origins or (default is not None and place == [host, port or default])


def _parse_host(text: str) -> tuple[str, int | None] | None:
    if not text or any(c in text for c in "/?#@\\ \t"):
        return None
    try:
        parts = urlsplit(f"//{text}")
        return (parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None


def _parse_origin(text: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port, the default port filled in; None for what is no origin, as `null`."""
    scheme, _, rest = text.partition("://")
    host = _parse_host(rest)
    if not scheme or host is None:
        return None
    return scheme.lower(), host[0], host[1] or _DEFAULT_PORTS.get(scheme.lower())


def _required_host(text: str) -> tuple[str, int | None]:
    host = _parse_host(text)
    if host is None:
        raise ValueError(f"{text!r} is not a host; write it as example.org or example.org:8080")
    return host


def _required_origin(text: str) -> tuple[str, str, int | None]:
    origin = _parse_origin(text.rstrip("/"))
    if origin is None:
        raise ValueError(f"{text!r} is not an origin; write it as https://example.org")
    return origin
