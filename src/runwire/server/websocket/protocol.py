"""What graphql-transport-ws demands, without the socket: messages come in, actions come out.

before connection_init   connection_init → asked who it is, then acknowledged (or 4403); ping, pong; subscribe → 4401
acknowledged             subscribe → an operation, complete ends it; connection_init → 4429
whatever cannot be read  4400
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from runwire.api.access import Principal
from runwire.server.encoding import encode_json
from runwire.server.requests import GraphQLRequest, MalformedError
from runwire.server.websocket.messages import (
    Complete,
    ConnectionInit,
    Payload,
    Ping,
    Pong,
    Subscribe,
    decode_message,
)

_MAX_REASON_BYTES = 123


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this message.

    Attributes:
        message: the message.
        refuses: to whom it refuses an operation; None when it does not.
    """

    message: dict[str, Any]
    refuses: Principal | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """Find out who presents this payload, and tell `admit` or `refuse`."""

    payload: Payload


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """Execute this; equal only to itself, as its id may be used again."""

    id: str
    request: GraphQLRequest
    principal: Principal


@dataclass(frozen=True, slots=True)
class Stop:
    """Cancel this operation, and send nothing more for it."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket."""

    code: int
    reason: str


Action: TypeAlias = Reply | Admission | Operation | Stop | Close


class Protocol:
    """The state of one conversation.

    Args:
        max_operations: the most operations at once.
    """

    def __init__(self, max_operations: int) -> None:
        self._max_operations = max_operations
        self._principal: Principal | None = None
        self._operations: dict[str, Operation] = {}

    @property
    def is_acknowledged(self) -> bool:
        """Whether connection_init came and was accepted."""
        return self._principal is not None

    @property
    def seconds_left(self) -> float | None:
        """How long the credentials of who speaks are good for; None for ever."""
        return None if self._principal is None else self._principal.seconds_left

    def receive_text(self, text: str) -> Action | None:
        """What to do about a text frame; None for nothing."""
        try:
            message = decode_message(text)
        except MalformedError as error:
            return _close(4400, f"this is no message of graphql-transport-ws: {error}")
        match message:
            case ConnectionInit():
                return self._init(message.payload)
            case Ping():
                return Reply(_with_payload("pong", message.payload))
            case Pong():
                return None
            case Subscribe():
                return self._subscribe(message)
            case Complete():
                operation = self._operations.pop(message.id, None)
                return operation and Stop(operation)

    def receive_bytes(self) -> Action:
        """What to do about a binary frame."""
        return _close(4400, "messages of graphql-transport-ws are text")

    def admit(self, principal: Principal) -> Action:
        """What to do once it is known who speaks."""
        self._principal = principal
        return Reply({"type": "connection_ack"})

    def refuse(self, problem: str | None) -> Action:
        """What to do when nobody speaks whom we know."""
        mend = 'send {"authorization": "Bearer <token>"} with connection_init'
        return _close(4403, f"Forbidden: {problem or mend}")

    def end(self, operation: Operation) -> None:
        """Says that an operation has ended, so that its id may be used again."""
        if self._operations.get(operation.id) is operation:
            del self._operations[operation.id]

    def _init(self, payload: Payload) -> Action:
        if self._principal is not None:
            return _close(4429, "Too many initialisation requests")
        return Admission(payload)

    def _subscribe(self, message: Subscribe) -> Action:
        if self._principal is None:
            return _close(4401, "Unauthorized: send connection_init first")
        if message.id in self._operations:
            return _close(4409, f"Subscriber for {message.id} already exists")
        if len(self._operations) >= self._max_operations:
            problem = f"at most {self._max_operations} operations run at once on one socket"
            return Reply(error_message(message.id, [{"message": problem}]), self._principal)
        operation = Operation(message.id, message.payload, self._principal)
        self._operations[message.id] = operation
        return operation


def next_message(operation_id: str, payload: bytes) -> tuple[bytes, bytes, bytes]:
    """One result of an operation, in parts: JSON around a payload that is JSON already, and is not copied."""
    return b'{"id":%b,"type":"next","payload":' % encode_json(operation_id), payload, b"}"


def error_message(operation_id: str, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """The end of an operation that was refused before it was executed."""
    return {"id": operation_id, "type": "error", "payload": errors}


def complete_message(operation_id: str) -> dict[str, Any]:
    """The end of an operation."""
    return {"id": operation_id, "type": "complete"}


def _with_payload(type: str, payload: Payload) -> dict[str, Any]:
    return {"type": type} if payload is None else {"type": type, "payload": payload}


def _close(code: int, reason: str) -> Close:
    """A close frame has room for so much of a reason."""
    return Close(
        code, reason.encode("utf-8", "replace")[:_MAX_REASON_BYTES].decode(errors="ignore")
    )
