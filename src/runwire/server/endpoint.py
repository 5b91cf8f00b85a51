"""The endpoint: what answers on /graphql, by whatever transport."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from runwire.api.access import Principal
from runwire.server.auth import ANYBODY, TokenAuth, UnauthenticatedError
from runwire.server.callers import CallerSlots, CrowdedError, caller_of, client_host
from runwire.server.cohorts import Cohorts
from runwire.server.http.negotiation import accepted, takes_html
from runwire.server.http.refusals import refuse, unauthenticated
from runwire.server.http.respond import HttpTransport
from runwire.server.ide.pages import GraphiQL
from runwire.server.operations import Operations
from runwire.server.settings import Limits
from runwire.server.slots import Slots
from runwire.server.websocket.dialects import TRANSPORT_WS, Dialect
from runwire.server.websocket.messages import Payload
from runwire.server.websocket.session import Session


class Endpoint:
    """Asks who it is, then has each transport do its part.

    Attributes:
        cohorts: those who share streams.
    """

    def __init__(
        self,
        operations: Operations,
        auth: TokenAuth,
        graphiql: GraphiQL,
        limits: Limits,
        stopping: asyncio.Event,
        dialects: Sequence[Dialect] = (TRANSPORT_WS,),
    ) -> None:
        self.cohorts = Cohorts(operations, limits)
        self._refusals = operations.refusals
        self._metrics = operations.telemetry.metrics
        self._auth = auth
        self._graphiql = graphiql
        self._limits = limits
        self._dialects = dialects
        self._streams = Slots(limits.connections)
        self._callers = CallerSlots(limits.connections_per_caller)
        self._http = HttpTransport(
            operations, self.cohorts, limits, self._streams, self._callers, stopping
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers requests of HTTP of any method."""
        response = await self.http(Request(scope, receive))
        await response(scope, receive, send)

    async def http(self, request: Request) -> Response:
        """POST and GET execute; a browser that opens the address is shown GraphiQL, without asking who it is."""
        client_host.set(None if request.client is None else request.client.host)
        if request.method == "GET" and takes_html(accepted(request.headers)):
            return self._graphiql.page()
        if request.method not in {"GET", "POST"}:
            await self._refusals.hold_back(None)
            message = "operations are sent by POST, queries by GET as well"
            return refuse(405, message, headers={"Allow": "GET, POST"})
        try:
            principal = await self._auth.principal(request.headers.get("authorization"))
        except UnauthenticatedError as error:
            await self._refusals.hold_back(None)
            return unauthenticated(error.problem)
        return await self._http.respond(request, principal)

    async def websocket(self, socket: WebSocket) -> None:
        """A websocket may present the token in its handshake or in connection_init."""
        client_host.set(None if socket.client is None else socket.client.host)
        if not self._streams.take():
            await socket.send_denial_response(refuse(503, self._streams.message, "UNAVAILABLE"))
            return
        # Until it is known who it is, it is one of its address.
        caller = caller_of(ANYBODY)
        if not self._callers.take(caller):
            self._streams.give_back()
            await self._refusals.hold_back(None)
            crowded = refuse(429, str(CrowdedError(self._callers.limit)), "TOO_MANY_REQUESTS")
            await socket.send_denial_response(crowded)
            return
        self._metrics.connection_opened("websocket")
        try:

            async def admit(payload: Payload) -> Principal:
                nonlocal caller
                try:
                    principal = await self._auth.principal(socket.headers.get("authorization"))
                except UnauthenticatedError:
                    principal = await self._auth.principal_of_init(payload)
                known = caller_of(principal)
                if known != caller:
                    if not self._callers.take(known):
                        raise CrowdedError(self._callers.limit)
                    self._callers.give_back(caller)
                    caller = known
                return principal

            session = Session(
                socket, self._dialects, admit, self.cohorts, self._limits, self._refusals
            )
            await session.run()
        finally:
            self._metrics.connection_closed("websocket")
            self._streams.give_back()
            self._callers.give_back(caller)
