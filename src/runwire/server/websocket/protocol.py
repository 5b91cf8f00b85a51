"""What the subprotocols demand, without the socket: messages come in, actions come out.

before connection_init   connection_init → asked who it is, then acknowledged (or 4403); ping, pong; subscribe → 4401
acknowledged             subscribe → an operation, complete ends it; connection_init → 4429
whatever cannot be read  4400

graphql-ws says start for subscribe and stop for complete; it has no ping, and ends with connection_terminate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from runwire.api.access import Principal
from runwire.server.encoding import encode_json
from runwire.server.requests import GraphQLRequest, MalformedError
from runwire.server.websocket.dialects import Dialect
from runwire.server.websocket.messages import (
    Complete,
    ConnectionInit,
    Payload,
    Ping,
    Pong,
    Subscribe,
    Terminate,
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
    """Close the socket, having sent a message if there is one."""

    code: int
    reason: str
    message: dict[str, Any] | None = None


Action: TypeAlias = Reply | Admission | Operation | Stop | Close


class Protocol:
    """The state of one conversation.

    Args:
        dialect: its words.
        max_operations: the most operations at once.
    """

    def __init__(self, dialect: Dialect, max_operations: int) -> None:
        self._dialect = dialect
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
            message = self._dialect.decode(text)
        except MalformedError as error:
            return _close(4400, f"this is no message of {self._dialect.subprotocol}: {error}")
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
            case Terminate():
                return Close(1000, "")

    def receive_bytes(self) -> Action:
        """What to do about a binary frame."""
        return _close(4400, f"messages of {self._dialect.subprotocol} are text")

    def admit(self, principal: Principal) -> Action:
        """What to do once it is known who speaks."""
        self._principal = principal
        return Reply({"type": "connection_ack"})

    def refuse(self, problem: str | None) -> Action:
        """What to do when nobody speaks whom we know."""
        mend = 'send {"authorization": "Bearer <token>"} with connection_init'
        reason = f"Forbidden: {problem or mend}"
        told = {"type": "connection_error", "payload": {"message": reason}}
        return _close(4403, reason, told if self._dialect.tells_refusal else None)

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
            return Reply(self.error_message(message.id, [{"message": problem}]), self._principal)
        operation = Operation(message.id, message.payload, self._principal)
        self._operations[message.id] = operation
        return operation

    def result_head(self, operation_id: str) -> bytes:
        """What comes before each result of an operation, which is JSON already; `RESULT_TAIL` comes after it."""
        return b'{"id":%b,"type":"%b","payload":' % (
            encode_json(operation_id),
            self._dialect.result,
        )

    def error_message(self, operation_id: str, errors: list[dict[str, Any]]) -> dict[str, Any]:
        """The end of an operation that was refused before it was executed."""
        payload = self._dialect.error_payload(errors)
        return {"id": operation_id, "type": "error", "payload": payload}


RESULT_TAIL = b"}"


def complete_message(operation_id: str) -> dict[str, Any]:
    """The end of an operation."""
    return {"id": operation_id, "type": "complete"}


def _with_payload(type: str, payload: Payload) -> dict[str, Any]:
    return {"type": type} if payload is None else {"type": type, "payload": payload}


def _close(code: int, reason: str, message: dict[str, Any] | None = None) -> Close:
    """A close frame has room for so much of a reason."""
    shortened = reason.encode("utf-8", "replace")[:_MAX_REASON_BYTES].decode(errors="ignore")
    return Close(code, shortened, message)
