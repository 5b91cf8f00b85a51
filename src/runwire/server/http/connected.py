"""Work for a client of HTTP, which ends when the client hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from starlette.requests import Request
from starlette.responses import Response

_NOBODY = Response(status_code=499)
"""Nobody reads it: the client is gone."""


async def while_connected(request: Request, work: Coroutine[None, None, Response]) -> Response:
    """What the work gives; it is cancelled when the client goes, as everything is that it waits for."""
    answering = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        return _NOBODY
    finally:
        leaving.cancel()
        answering.cancel()
        await asyncio.gather(leaving, answering, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
