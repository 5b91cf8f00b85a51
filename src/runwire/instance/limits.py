"""`server.limits`: the most that the server takes."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from runwire.config import PositiveSeconds, WholeNumber

Bytes: TypeAlias = Annotated[WholeNumber, Field(ge=1, le=1 << 30)]
Count: TypeAlias = Annotated[WholeNumber, Field(ge=1, le=1_000_000)]
Rows: TypeAlias = Annotated[WholeNumber, Field(ge=1, le=1_000_000_000)]


class Limits(BaseModel):
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
        query_seconds: for a query to be executed.
        connections: clients that are streamed to at once.
        operations: operations at once on one websocket.
        tokens: of a document.
        depth: how deep its selections nest, fragments included.
        aliases: how many fields have an alias, each fragment counted as often as it is used.
        directives: how many directives stand at its selections, counted alike.
        root_fields: how many fields an operation selects at its root, counted alike.
        rows: how many objects an operation may give, pages within pages multiplied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    head_bytes: Bytes = 64 * 1024
    head_seconds: PositiveSeconds = 10.0
    body_bytes: Bytes = 2 * 1024 * 1024
    body_seconds: PositiveSeconds = 30.0
    message_bytes: Bytes = 64 * 1024
    init_seconds: PositiveSeconds = 5.0
    stall_seconds: PositiveSeconds = 10.0
    keep_alive_seconds: PositiveSeconds = 12.0
    query_seconds: PositiveSeconds = 30.0
    connections: Count = 1000
    operations: Count = 100
    tokens: Count = 2000
    depth: Annotated[WholeNumber, Field(ge=1, le=50)] = 15
    aliases: Count = 50
    directives: Count = 50
    root_fields: Count = 20
    rows: Rows = 100_000
