"""The section `server.limits` of `runwire.yaml`: the most that the server takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from runwire.config import PositiveSeconds, WholeNumber

_Bytes = Annotated[WholeNumber, Field(ge=1, le=1024**3)]
_Count = Annotated[WholeNumber, Field(ge=1, le=1_000_000)]


class Limits(BaseModel):
    """The most that the server takes. The defaults admit every document of graphql/.

    A caller is who presents a token, by name; without one, an address. Whoever calls from this machine without a
    token is nobody's guest: what holds for each caller does not hold there.

    Attributes:
        head_bytes: of the head of an HTTP request.
        head_seconds: for the head to arrive.
        body_bytes: of the body of an HTTP request.
        values: of JSON in the body of an HTTP request.
        body_seconds: for the body to arrive.
        message_bytes: of one message on a websocket.
        init_seconds: for the first message on a websocket to arrive.
        stall_seconds: for which a client may take nothing of what waits for it.
        keep_alive_seconds: after which a stream of events without any says that it is there.
        connection_seconds: for which a websocket or a stream of events may last; who follows on connects again.
        query_seconds: for a query or mutation to be answered.
        connections: websockets and streams of events at once.
        connections_per_caller: those of one caller.
        operations: operations at once on one websocket.
        subscriptions: subscriptions at once.
        subscriptions_per_caller: those of one caller.
        points_per_minute: how many points the operations of one caller may cost, all of them at once if it likes;
            None for any number. An operation costs one, and one for each object that it may give.
        document_chars: characters of a document.
        tokens: of a document.
        depth: how deep its selections nest, fragments included.
        aliases: how many fields have an alias, each fragment counted as often as it is used.
        directives: how many directives stand in it, each fragment counted as often as it is used.
        root_fields: how many fields an operation begins with.
        rows: how many objects an operation may give, pages within pages multiplied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    head_bytes: _Bytes = 64 * 1024
    head_seconds: PositiveSeconds = 10.0
    body_bytes: _Bytes = 2 * 1024 * 1024
    values: _Count = 25_000
    body_seconds: PositiveSeconds = 30.0
    message_bytes: _Bytes = 64 * 1024
    init_seconds: PositiveSeconds = 5.0
    stall_seconds: PositiveSeconds = 10.0
    keep_alive_seconds: PositiveSeconds = 12.0
    connection_seconds: PositiveSeconds = 86_400.0
    query_seconds: PositiveSeconds = 30.0
    connections: _Count = 1000
    connections_per_caller: _Count = 200
    operations: _Count = 100
    subscriptions: _Count = 10_000
    subscriptions_per_caller: _Count = 1000
    points_per_minute: Annotated[WholeNumber, Field(ge=1, le=10**9)] | None = 1_000_000
    document_chars: _Count = 64 * 1024
    tokens: _Count = 2000
    depth: Annotated[WholeNumber, Field(ge=1, le=100)] = 15
    aliases: Annotated[WholeNumber, Field(ge=0, le=100_000)] = 50
    directives: Annotated[WholeNumber, Field(ge=0, le=100_000)] = 50
    root_fields: Annotated[WholeNumber, Field(ge=1, le=100_000)] = 50
    rows: Annotated[WholeNumber, Field(ge=1, le=1_000_000)] = 100_000
