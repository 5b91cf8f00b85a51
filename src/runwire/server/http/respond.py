"""GraphQL over HTTP: one answer as JSON, or all of them as a stream of events."""

from __future__ import annotations

import asyncio

from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runwire.api.access import Principal
from runwire.server.callers import CROWDED_SECONDS, CallerSlots, CrowdedError, caller_of
from runwire.server.cohorts import Cohorts
from runwire.server.encoding import encode_json
from runwire.server.http.connected import while_connected
from runwire.server.http.event_stream import EventStream
from runwire.server.http.negotiation import EVENT_STREAM, GRAPHQL_JSON, accepted, answer_type
from runwire.server.http.reading import RefusedError, read_request
from runwire.server.http.refusals import refuse
from runwire.server.operations import Operations, error_of_fault
from runwire.server.requests import GraphQLRequest
from runwire.server.settings import Limits
from runwire.server.slots import Slots

_TRANSPORT = "event_stream"
_ONLY_QUERIES = "a GET executes queries only; send this operation by POST"


class HttpTransport:
    """Answers requests of HTTP.

    Args:
        operations: executes what has one answer.
        cohorts: executes what is streamed.
        limits: how much is taken.
        streams: how many clients may be streamed to.
        callers: how many connections each caller may have.
        stopping: is set when the server stops.
    """

    def __init__(
        self,
        operations: Operations,
        cohorts: Cohorts,
        limits: Limits,
        streams: Slots,
        callers: CallerSlots,
        stopping: asyncio.Event,
    ) -> None:
        self._operations = operations
        self._cohorts = cohorts
        self._limits = limits
        self._streams = streams
        self._callers = callers
        self._stopping = stopping

    async def respond(self, request: Request, principal: Principal) -> Response:
        """Answers a GET or POST of one operation.

        With `application/graphql-response+json` what was never executed is a 400 without data; with plain JSON
        every well-formed request gets a 200, as old clients expect. With `text/event-stream` every operation is
        streamed, and what is refused is an event too, for a browser shows no other answer to its page.
        """
        media_type = answer_type(accepted(request.headers))
        if media_type is None:
            message = f"answers are {GRAPHQL_JSON}, application/json or {EVENT_STREAM}; accept one of them"
            return refuse(406, message)
        try:
            asked = await read_request(request, self._limits)
            if request.method == "GET":
                await self._check_safe(asked, principal, media_type)
        except RefusedError as error:
            await self._operations.refusals.hold_back(principal, error.size)
            return error.answer()
        except ClientDisconnect:
            return Response(status_code=400)
        if media_type == EVENT_STREAM:
            return self._stream(asked, principal, request.headers.get("last-event-id") or None)
        return await while_connected(request, self._answer(asked, principal, media_type))

    async def _check_safe(
        self, asked: GraphQLRequest, principal: Principal, media_type: str
    ) -> None:
        """Refuses by GET what changes something; what cannot be read is told of in the answer."""
        busy = await self._operations.learn(asked, principal)
        if busy is not None:
            headers = {"Retry-After": str(busy.retry_after_seconds)}
            raise RefusedError(429, busy.payload["errors"][0]["message"], headers)
        safe = {None, OperationType.QUERY}
        if media_type == EVENT_STREAM:
            safe.add(OperationType.SUBSCRIPTION)
        if self._operations.operation_type(asked) not in safe:
            raise RefusedError(405, _ONLY_QUERIES, {"Allow": "POST"})

    def _stream(
        self, asked: GraphQLRequest, principal: Principal, resume_after: str | None
    ) -> Response:
        caller = caller_of(principal)
        if not self._callers.take(caller):
            headers = {"Retry-After": str(CROWDED_SECONDS)}
            return refuse(429, str(CrowdedError(self._callers.limit)), "TOO_MANY_REQUESTS", headers)
        if not self._streams.take():
            self._callers.give_back(caller)
            return refuse(503, self._streams.message, "UNAVAILABLE")
        self._operations.telemetry.metrics.connection_opened(_TRANSPORT)
        most, left = self._limits.connection_seconds, principal.seconds_left
        return EventStream(
            self._cohorts.stream(asked, principal, resume_after),
            self._stopping,
            keep_alive_seconds=self._limits.keep_alive_seconds,
            lasting_seconds=most if left is None else min(left, most),
            on_end=lambda: self._end_stream(caller),
        )

    def _end_stream(self, caller: str | None) -> None:
        self._callers.give_back(caller)
        self._streams.give_back()
        self._operations.telemetry.metrics.connection_closed(_TRANSPORT)

    async def _answer(
        self, asked: GraphQLRequest, principal: Principal, media_type: str
    ) -> Response:
        content_type = f"{media_type}; charset=utf-8"
        try:
            answer = await self._operations.execute(asked, principal)
        except Exception as fault:  # noqa: BLE001 - it is logged with its id
            errors = encode_json({"errors": [error_of_fault(fault)]})
            return Response(errors, 500, media_type=content_type)
        if answer.retry_after_seconds is not None:
            headers = {"Retry-After": str(answer.retry_after_seconds)}
            return Response(answer.encoded, 429, headers, media_type=content_type)
        status = 400 if media_type == GRAPHQL_JSON and not answer.was_executed else 200
        return Response(answer.encoded, status, media_type=content_type)
