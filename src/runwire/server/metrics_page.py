"""`/metrics`: the figures as text for Prometheus, to whoever may read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from runwire.api.access import Permission
from runwire.server.auth import TokenAuth, UnauthenticatedError
from runwire.server.http.refusals import forbidden, unauthenticated
from runwire.server.metrics import CONTENT_TYPE, Metrics


class MetricsPage:
    """Answers with the figures.

    Args:
        metrics: the figures.
        auth: tells who asks; None when anybody may.
        refresh: brings up to date what has to be asked for.
    """

    def __init__(
        self, metrics: Metrics, auth: TokenAuth | None, refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._metrics = metrics
        self._auth = auth
        self._refresh = refresh
        self._making = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Answers a request."""
        if self._auth is not None:
            try:
                principal = await self._auth.principal(request.headers.get("authorization"))
            except UnauthenticatedError as error:
                return unauthenticated(error.problem)
            if not principal.may(Permission.READ):
                return forbidden("the metrics are for those who may READ")
        await self._refresh()
        async with self._making:
            # Of many operations it takes a third of a second.
            counted = await asyncio.to_thread(self._metrics.counted)
        return Response(counted + self._metrics.told(), media_type=CONTENT_TYPE)
