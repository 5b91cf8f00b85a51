"""What is refused before GraphQL sees it: answered in the shape of GraphQL errors all the same."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from runwire.server.encoding import encode_json
from runwire.server.http.negotiation import JSON


def refuse(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to a request that is refused with an HTTP status."""
    error = {"message": message, **({"extensions": {"code": code}} if code else {})}
    return Response(encode_json({"errors": [error]}), status, headers, media_type=JSON)


def forbidden(message: str) -> Response:
    """The answer to a request of a foreign page."""
    return refuse(403, message, "FORBIDDEN")


def unauthenticated(problem: str | None = None) -> Response:
    """The answer to a request without a token that is accepted."""
    message = problem or "this server demands a token: Authorization: Bearer <token>"
    return refuse(401, message, "UNAUTHENTICATED", {"WWW-Authenticate": "Bearer"})
