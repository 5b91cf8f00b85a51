"""Turns away what a foreign web page could have sent, before anything else sees it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from runwire.server.http.refusals import forbidden, refuse
from runwire.server.origins import OriginRules


class Guard:
    """Checks Host and Origin of every request and handshake but those of open paths."""

    def __init__(self, app: ASGIApp, rules: OriginRules, open_paths: frozenset[str]) -> None:
        self._app = app
        self._rules = rules
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] in self._open_paths:
            return None
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) > 1:
            # Whoever is in between may have looked at another one than we do.
            return refuse(400, "a request has one Host header")
        problem = self._rules.refusal(headers.get("host"), headers.get("origin"))
        return None if problem is None else forbidden(problem)
