"""What a call of the client raises.

ClientError
├── ServerUnreachableError    no server answers, or it was gone for too long
├── NotAuthorizedError        the server demands a token, or refuses the one that was given
├── RequestRefusedError       the answer is an error type of the schema, such as JobNotFound
├── RequestFailedError        the answer is a GraphQL error: a wrong argument, or a fault of the server
└── ProtocolViolatedError     what answers does not keep the contract
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runwire.errors import RunwireError


class ClientError(RunwireError):
    """The root of the client's errors."""


class ServerUnreachableError(ClientError):
    """No server answers at the address."""

    def __init__(self, url: str, problem: str) -> None:
        self.url = url
        self.problem = problem
        super().__init__(f"no runwire server answers at {url}: {problem}")


class NotAuthorizedError(ClientError):
    """The server does not let this client in, or not do this."""

    def __init__(self, url: str, *, token_given: bool, problem: str = "") -> None:
        self.url = url
        mend = "it refuses the token that was given" if token_given else "it demands a token"
        super().__init__(f"{url} does not allow this: {problem or mend}")


class RequestRefusedError(ClientError):
    """The server refused, and told so as data; nothing was changed.

    Attributes:
        type_name: the GraphQL type of the error, such as ``RunStateConflict``.
        message: what went wrong and what would mend it.
        details: the other fields of the error that the document selects.
    """

    def __init__(self, type_name: str, message: str, details: Mapping[str, Any]) -> None:
        self.type_name = type_name
        self.message = message
        self.details = details
        super().__init__(message)


class RequestFailedError(ClientError):
    """The server answered with GraphQL errors.

    Attributes:
        code: ``extensions.code`` of the first one, such as ``CURSOR_INVALID``; None when it has none.
        error_id: what to look for in the server's log, for a fault of the server.
    """

    def __init__(self, message: str, code: str | None = None, error_id: str | None = None) -> None:
        self.code = code
        self.error_id = error_id
        told = error_id is None or error_id in message
        super().__init__(message if told else f"{message} (error id {error_id})")


class ProtocolViolatedError(ClientError):
    """What answers does not keep the contract: it is no runwire server, or one with a defect."""
