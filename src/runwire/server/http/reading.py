"""How a GraphQL request is read from a request of HTTP: from the body of a POST, from the address of a GET."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from runwire.server.http.negotiation import is_json_body
from runwire.server.http.refusals import refuse
from runwire.server.requests import GraphQLRequest, MalformedError, decode_json
from runwire.server.settings import Limits

_CLOSE = {"Connection": "close"}
"""What is left of the body is not read, so the connection cannot be used again."""

_FOREIGN_SITES = frozenset({"cross-site", "same-site"})

_decoder = msgspec.json.Decoder(GraphQLRequest)
_object_decoder = msgspec.json.Decoder(dict[str, Any] | None)


class RefusedError(Exception):
    """A request that is not executed, with the status that says so.

    Attributes:
        size: how many bytes of it were read.
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, size: int = 0
    ) -> None:
        super().__init__(message)
        self.size = size
        self.status = status
        self.message = message
        self.headers = headers

    def answer(self) -> Response:
        """What the client is told."""
        return refuse(self.status, self.message, headers=self.headers)


async def read_request(request: Request, limits: Limits) -> GraphQLRequest:
    """The GraphQL request of a GET or POST.

    Raises:
        RefusedError: it is none.
        ClientDisconnect: the client went before it had sent it.
    """
    if request.method == "GET":
        return _read_address(request)
    return await _read_post(request, limits)


def _read_address(request: Request) -> GraphQLRequest:
    """The request of a GET, which no page of another site may send: nobody asks its reader before."""
    if request.headers.get("sec-fetch-site") in _FOREIGN_SITES and "origin" not in request.headers:
        raise RefusedError(403, "a page of another site may not send operations by GET")
    given = request.query_params
    query, document_id = given.get("query") or "", given.get("documentId") or None
    if not query and document_id is None:
        raise RefusedError(400, "name the operation in the address: ?query=…, or send it by POST")
    try:
        variables, extensions = (
            decode_json(given.get(name) or "null", _object_decoder)
            for name in ("variables", "extensions")
        )
    except MalformedError as error:
        raise RefusedError(
            400, f"variables and extensions of the address are JSON objects: {error}"
        ) from None
    try:
        name = given.get("operationName") or None
        return GraphQLRequest(query, variables, name, extensions, document_id)
    except ValueError as error:
        raise RefusedError(400, f"the address is no GraphQL request: {error}") from None


async def _read_post(request: Request, limits: Limits) -> GraphQLRequest:
    if not is_json_body(request.headers.get("content-type")):
        raise RefusedError(415, "send the operation as Content-Type: application/json, in UTF-8")
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _read_body(request, limits.body_bytes)
    except TimeoutError:
        message = f"the body did not arrive within {limits.body_seconds:g} s"
        raise RefusedError(408, message, _CLOSE) from None
    if count_values(body, limits.values) > limits.values:
        message = f"the body has more than {limits.values} values of JSON; send less at once"
        raise RefusedError(400, message, size=len(body))
    try:
        return decode_json(body, _decoder)
    except MalformedError as error:
        problem = f"the body is no GraphQL request: {error}"
        raise RefusedError(400, problem, size=len(body)) from None


async def _read_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit, size)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int, size: int = 0) -> RefusedError:
    return RefusedError(413, f"the body is larger than {limit} bytes", _CLOSE, size)


def count_values(body: bytes, enough: int) -> int:
    """How many values a text of JSON has at the most, found without decoding it; right where it is more than enough.

    Each value begins the text, or stands behind a comma or a bracket.
    """
    if 1 + _separators(body) <= enough:
        return 1 + _separators(body)
    # Of long texts, commas may be many.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    texts = plain.count(b'"') // 2
    if texts // 2 > enough:  # of which half may be names of members
        return texts // 2
    return 1 + _separators(b"".join(plain.split(b'"')[::2]))


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")
