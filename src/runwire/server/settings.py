"""What the server is told: whom it answers, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runwire.server.auth import AcceptedToken
from runwire.server.telemetry import Tracer


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that the server takes. The defaults admit every document of graphql/.

    Attributes:
        head_bytes: of the head of an HTTP request.
        head_seconds: for the head to arrive.
        body_bytes: of the body of an HTTP request.
        body_seconds: for the body to arrive.
        message_bytes: of one message on a websocket.
        init_seconds: for the first message on a websocket to arrive.
        stall_seconds: for which a client may take nothing of what waits for it.
        keep_alive_seconds: after which a stream of events without any says that it is there.
        connections: websockets at once.
        operations: operations at once on one websocket.
        tokens: of a document.
        depth: how deep its selections nest, fragments included.
        aliases: how many fields have an alias, each fragment counted as often as it is used.
        rows: how many objects an operation may give, pages within pages multiplied.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    body_bytes: int = 2 * 1024 * 1024
    body_seconds: float = 30.0
    message_bytes: int = 64 * 1024
    init_seconds: float = 5.0
    stall_seconds: float = 10.0
    keep_alive_seconds: float = 12.0
    connections: int = 1000
    operations: int = 100
    tokens: int = 2000
    depth: int = 15
    aliases: int = 50
    rows: int = 100_000


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Whom the server answers, and its limits.

    Attributes:
        tokens: those of which a caller must present one; without any anybody may call.
        on_loopback: whether it listens on a loopback address, so that the Host header must name one.
        allowed_hosts: values of the Host header, with or without a port, that are answered as well.
        allowed_origins: origins of web pages, such as ``https://example.org``, that may call.
        limits: how much it takes.
        metrics: who may see the metrics: nobody, who may read, or anybody.
        tracer: what traces operations; None for nothing.
    """

    tokens: tuple[AcceptedToken, ...] = ()
    on_loopback: bool = True
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    limits: Limits = Limits()
    metrics: Literal["off", "protected", "open"] = "protected"
    tracer: Tracer | None = None
