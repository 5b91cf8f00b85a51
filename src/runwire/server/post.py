"""GraphQL over HTTP: POST with a JSON body."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runwire.api.context import Principal
from runwire.server.encoding import encode_json
from runwire.server.negotiation import GRAPHQL_JSON, answer_type, is_json_body
from runwire.server.operations import Operations, error_of_fault
from runwire.server.refusals import refuse
from runwire.server.requests import GraphQLRequest, MalformedError, decode_json
from runwire.server.settings import Limits

_CLOSE = {"Connection": "close"}
"""What is left of the body is not read, so the connection cannot be used again."""

_decoder = msgspec.json.Decoder(GraphQLRequest)


class _TooLargeError(Exception):
    """The body is larger than is taken."""


async def post(
    request: Request, principal: Principal, operations: Operations, limits: Limits
) -> Response:
    """Answers a POST of one operation.

    With `application/graphql-response+json` what was never executed is a 400 without data; with plain JSON
    every well-formed request gets a 200, as old clients expect.
    """
    media_type = answer_type(request.headers.get("accept"))
    if media_type is None:
        return refuse(406, f"answers are {GRAPHQL_JSON} or application/json; accept one of them")
    if not is_json_body(request.headers.get("content-type")):
        return refuse(415, "send the operation as Content-Type: application/json, in UTF-8")
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _read_body(request, limits.body_bytes)
        graphql_request = decode_json(body, _decoder)
    except TimeoutError:
        message = f"the body did not arrive within {limits.body_seconds:g} s"
        return refuse(408, message, headers=_CLOSE)
    except _TooLargeError:
        message = f"the body is larger than {limits.body_bytes} bytes"
        return refuse(413, message, headers=_CLOSE)
    except MalformedError as error:
        return refuse(400, f"the body is no GraphQL request: {error}")
    except ClientDisconnect:
        return Response(status_code=400)
    try:
        answer = await operations.execute(graphql_request, principal)
    except Exception as fault:  # noqa: BLE001 - it is logged with its id
        return Response(
            encode_json({"errors": [error_of_fault(fault)]}), 500, media_type=media_type
        )
    status = 400 if media_type == GRAPHQL_JSON and not answer.was_executed else 200
    return Response(encode_json(answer.payload), status, media_type=f"{media_type}; charset=utf-8")


async def _read_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise _TooLargeError
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _TooLargeError
        chunks.append(chunk)
    return b"".join(chunks)
