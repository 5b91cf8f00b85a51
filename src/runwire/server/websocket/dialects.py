"""The subprotocols that a websocket may speak: they say the same, in other words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runwire.server.websocket.messages import ClientMessage, decode_legacy, decode_message

ErrorPayload = Callable[[list[dict[str, Any]]], Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the messages of a subprotocol are called, and what they look like where they differ.

    Attributes:
        subprotocol: its name in the handshake.
        decode: reads a message of a client; raises MalformedError.
        result: the type of a message with a result.
        error_payload: that of an operation that was refused, by its errors.
        tells_refusal: whether a client is told by a message that it is refused, before the socket is closed.
    """

    subprotocol: str
    decode: Callable[[str], ClientMessage]
    result: bytes
    error_payload: ErrorPayload
    tells_refusal: bool = False


def _first_error(errors: list[dict[str, Any]]) -> dict[str, Any]:
    """One error, which holds all of them: clients read either."""
    return {"message": errors[0]["message"], "errors": errors}


TRANSPORT_WS = Dialect("graphql-transport-ws", decode_message, b"next", lambda errors: errors)
"""https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md"""

LEGACY = Dialect("graphql-ws", decode_legacy, b"data", _first_error, tells_refusal=True)
"""https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md

Its makers gave it up. A keep-alive, which it lets a server send, makes some of its clients close the socket when the
next one is late: none is sent, for websockets have pings.
"""


def choose(offered: Sequence[str], spoken: Sequence[Dialect]) -> Dialect | None:
    """The first that is spoken of those that a client offers; None when there is none."""
    return next((dialect for dialect in spoken if dialect.subprotocol in offered), None)
