"""The messages of clients: those of graphql-transport-ws, and those of the older graphql-ws."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from runwire.server.requests import GraphQLRequest, decode_json

OperationId: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Payload: TypeAlias = dict[str, Any] | None


class ConnectionInit(msgspec.Struct, frozen=True, tag_field="type", tag="connection_init"):
    """Opens the conversation."""

    payload: Payload = None


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a pong."""

    payload: Payload = None


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """Answers a ping, or comes unasked."""

    payload: Payload = None


class Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Starts an operation of any kind."""

    id: OperationId
    payload: GraphQLRequest


class Complete(msgspec.Struct, frozen=True, tag_field="type", tag="complete"):
    """Ends an operation."""

    id: OperationId


class LegacyStart(Subscribe, frozen=True, tag_field="type", tag="start"):
    """Starts an operation of any kind."""


class LegacyStop(Complete, frozen=True, tag_field="type", tag="stop"):
    """Ends an operation."""


class Terminate(msgspec.Struct, frozen=True, tag_field="type", tag="connection_terminate"):
    """Ends the conversation."""


ClientMessage: TypeAlias = ConnectionInit | Ping | Pong | Subscribe | Complete | Terminate

_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(
    ConnectionInit | Ping | Pong | Subscribe | Complete
)
_legacy_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(
    ConnectionInit | LegacyStart | LegacyStop | Terminate
)


def decode_message(text: str) -> ClientMessage:
    """A message of a client that speaks graphql-transport-ws.

    Raises:
        MalformedError: it is none.
    """
    return decode_json(text, _decoder)


def decode_legacy(text: str) -> ClientMessage:
    """A message of a client that speaks graphql-ws.

    Raises:
        MalformedError: it is none.
    """
    return decode_json(text, _legacy_decoder)
