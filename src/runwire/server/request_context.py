"""What is done about every request before all else: it gets an id, refusals are counted, and its end is told."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runwire.server.http.refusals import refuse
from runwire.server.log_context import begin_request
from runwire.server.telemetry import Telemetry

_ENDED = "the server was stopped before it could answer; try again"
_HEADER = b"x-request-id"
_STARTS = frozenset(
    {"http.response.start", "websocket.accept", "websocket.http.response.start"},
)


class RequestContext:
    """Gives each request an id, which the log tells and the answer carries as ``X-Request-Id``.

    A request that is not answered when the server ends gets a 503.

    Args:
        app: what answers.
        telemetry: where answers that refuse are counted, and traces are joined.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._metrics, self._tracer = telemetry.metrics, telemetry.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        # A request is answered in a task of its own, so that nothing has to be taken back.
        headers = Headers(scope=scope)
        given = begin_request(headers.get("x-request-id"))
        if self._tracer is not None:
            self._tracer.enter_request(headers)
        field = (_HEADER, given.encode())
        has_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_started
            if message["type"] in _STARTS:
                has_started = True
                message["headers"] = [*message.get("headers", ()), field]
                status = message.get("status", 0)
                if status >= 400:
                    self._metrics.refused(status)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            # Only the end of the server cancels a request as a whole, when its time is up.
            if scope["type"] == "http" and not has_started:
                await refuse(503, _ENDED, "UNAVAILABLE")(scope, receive, send_with_id)
