"""The errors of gql, aiohttp and websockets as those of the client: translated once, here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportQueryError,
    TransportServerError,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus

from runwire.client.errors import (
    ClientError,
    ForbiddenError,
    NotAuthorizedError,
    ProtocolViolatedError,
    RequestFailedError,
    ServerUnreachableError,
    TokenExpiredError,
)
from runwire.client.following import ConnectionLostError

_DENIED_STATUSES = {401, 403}
_PASSING_STATUSES = {429, 502, 503, 504}
_DENIED_CLOSE_CODES = {4401, 4403}
_FATAL_CLOSE_CODES = {4004, 4005, 4400, 4406, 4409, 4429, 4500}
"""Close codes of graphql-transport-ws after which the same request would end the same way."""

Headers = Mapping[str, str]


def http_error(error: Exception, url: str, headers: Headers, timeout_seconds: float) -> ClientError:
    """What a query or mutation raises."""
    match error:
        case TimeoutError():
            return ServerUnreachableError(url, f"no answer within {timeout_seconds:g} s")
        case TransportQueryError():
            return _graphql_error(error, url, headers)
        case TransportServerError():
            return _status_error(error.code, url, headers)
        case TransportConnectionFailed():
            return ServerUnreachableError(url, _problem(error.__cause__ or error))
        case _:
            return ProtocolViolatedError(f"{url} is no GraphQL endpoint: {error}")


def subscription_error(
    error: Exception, url: str, headers: Headers
) -> ClientError | ConnectionLostError:
    """What a subscription raises; ConnectionLostError where another try may help."""
    cause = error.__cause__
    match error, cause:
        case TransportQueryError(), _:
            return _graphql_error(error, url, headers)
        case _, InvalidStatus():
            status = cause.response.status_code
            if status in _PASSING_STATUSES:
                return ConnectionLostError(f"it answers with HTTP status {status}")
            return _status_error(status, url, headers)
        case _, ConnectionClosed():
            return _close_error(cause, url, headers)
        case ((TransportConnectionFailed() | TimeoutError()), _):
            return ConnectionLostError(_problem(cause or error))
        case TransportServerError(), _:
            return ConnectionLostError(str(error))
        case _:
            return ProtocolViolatedError(f"{url} does not speak graphql-transport-ws: {error}")


def _graphql_error(error: TransportQueryError, url: str, headers: Headers) -> ClientError:
    first: Mapping[str, Any] = (error.errors or [{"message": str(error)}])[0]
    message = str(first.get("message"))
    extensions = first.get("extensions") or {}
    code = extensions.get("code")
    if code == "UNAUTHENTICATED":
        return _denied(url, headers, message)
    if code == "FORBIDDEN":
        return ForbiddenError("Forbidden", message, {})
    return RequestFailedError(message, code, extensions.get("errorId"))


def _status_error(status: int | None, url: str, headers: Headers) -> ClientError:
    if status in _DENIED_STATUSES:
        return _denied(url, headers)
    if status in _PASSING_STATUSES:
        return ServerUnreachableError(url, f"it answers with HTTP status {status}")
    return ProtocolViolatedError(
        f"{url} is no GraphQL endpoint: it answers with HTTP status {status}"
    )


def _close_error(
    closed: ConnectionClosed, url: str, headers: Headers
) -> ClientError | ConnectionLostError:
    if closed.rcvd is None:
        return ConnectionLostError("the connection broke")
    code, reason = closed.rcvd.code, closed.rcvd.reason
    if code in _DENIED_CLOSE_CODES:
        return _denied(url, headers, reason)
    if code in _FATAL_CLOSE_CODES:
        return ProtocolViolatedError(
            f"{url} closed the stream with {code}: {reason or 'no reason given'}"
        )
    return ConnectionLostError(f"the server closed it with {code}{reason and f': {reason}'}")


def _denied(url: str, headers: Headers, problem: str = "") -> NotAuthorizedError:
    # A close frame has no room for more than words.
    kind = TokenExpiredError if "expired" in problem else NotAuthorizedError
    return kind(url, token_given="Authorization" in headers, problem=problem)


def _problem(error: BaseException) -> str:
    """The words for a connection that could not be made or broke."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
