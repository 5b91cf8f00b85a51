"""The endpoint: what answers on /graphql, by whatever transport."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from runwire.api.context import Principal
from runwire.server.auth import TokenAuth
from runwire.server.cohorts import Cohorts
from runwire.server.ide.pages import GraphiQL
from runwire.server.negotiation import takes_html
from runwire.server.operations import Operations
from runwire.server.post import post
from runwire.server.refusals import refuse, unauthenticated
from runwire.server.settings import Limits
from runwire.server.websocket.messages import Payload
from runwire.server.websocket.protocol import Protocol
from runwire.server.websocket.session import Session


class Endpoint:
    """Asks who it is, then has each transport do its part."""

    def __init__(
        self, operations: Operations, auth: TokenAuth, graphiql: GraphiQL, limits: Limits
    ) -> None:
        self._operations = operations
        self._cohorts = Cohorts(operations)
        self._auth = auth
        self._graphiql = graphiql
        self._limits = limits
        self._sockets = 0

    async def http(self, request: Request) -> Response:
        """POST executes; GET shows GraphiQL to a browser, without asking who it is."""
        if request.method != "POST":
            if takes_html(request.headers.get("accept")):
                return self._graphiql.page()
            message = "operations are sent by POST; a browser gets GraphiQL here"
            return refuse(405, message, headers={"Allow": "POST"})
        principal = self._auth.principal(request.headers.get("authorization"))
        if principal is None:
            return unauthenticated()
        return await post(request, principal, self._operations, self._limits)

    async def websocket(self, socket: WebSocket) -> None:
        """A websocket may present the token in its handshake or in connection_init."""
        if self._sockets >= self._limits.connections:
            message = f"at most {self._limits.connections} websockets are served at once; try later"
            await socket.send_denial_response(refuse(503, message, "UNAVAILABLE"))
            return
        at_handshake = self._auth.principal(socket.headers.get("authorization"))

        def admit(payload: Payload) -> Principal | None:
            return at_handshake or self._auth.principal_of_init(payload)

        protocol = Protocol(admit, self._limits.operations)
        self._sockets += 1
        try:
            await Session(socket, protocol, self._cohorts, self._limits).run()
        finally:
            self._sockets -= 1
