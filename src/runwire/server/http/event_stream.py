"""GraphQL over server-sent events, each operation on a connection of its own.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md, distinct connections mode. The id of an event is
the cursor of its message, so that a client which reconnects with `Last-Event-ID` goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runwire.server.http.negotiation import EVENT_STREAM
from runwire.server.operations import Answer, error_of_fault

_HEADERS = {
    "Cache-Control": "no-store",
    # nginx would keep events back until its buffer is full.
    "X-Accel-Buffering": "no",
}
_KEEP_ALIVE = b":\n\n"


class EventStream(Response):
    """Sends the results of an operation as they come.

    Args:
        answers: the results; they are closed in the end.
        stopping: is set when the server stops: the stream ends then, without having completed.
        keep_alive_seconds: after so long without an event a comment is sent, for proxies that close what is idle.
        lasting_seconds: after so long it ends, without having completed, so that its client connects again.
        on_end: is called in the end.
    """

    def __init__(
        self,
        answers: AsyncGenerator[Answer, None],
        stopping: asyncio.Event,
        *,
        keep_alive_seconds: float,
        lasting_seconds: float,
        on_end: Callable[[], object],
    ) -> None:
        super().__init__(headers=_HEADERS, media_type=f"{EVENT_STREAM}; charset=utf-8")
        del self.headers["content-length"]
        self._answers = answers
        self._stopping = stopping
        self._keep_alive_seconds = keep_alive_seconds
        self._lasting_seconds = lasting_seconds
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request; ends with the operation, the client or the server."""
        ends = [
            asyncio.create_task(each)
            for each in (self._send_all(send), _disconnect(receive), self._stopping.wait())
        ]
        try:
            await asyncio.wait(
                ends, timeout=self._lasting_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            self._on_end()
            await self._answers.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        # What waits for the first event sees that there is a stream.
        await _send_part(send, _KEEP_ALIVE)
        following = asyncio.ensure_future(anext(self._answers, None))
        try:
            while True:
                done, _ = await asyncio.wait({following}, timeout=self._keep_alive_seconds)
                if not done:
                    await _send_part(send, _KEEP_ALIVE)
                    continue
                answer = _result(following)
                if answer is None:
                    break
                await _send_part(send, _event(answer))
                following = asyncio.ensure_future(anext(self._answers, None))
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        await _send_part(send, b"event: complete\ndata: \n\n")


def _result(following: asyncio.Future[Answer | None]) -> Answer | None:
    """The next result; a fault outside of any resolver is one as well."""
    try:
        return following.result()
    except Exception as fault:  # noqa: BLE001 - it is logged with its id
        return Answer({"errors": [error_of_fault(fault)]}, was_executed=False)


def _event(answer: Answer) -> bytes:
    # JSON on one line has no line break, so the data is one line as well.
    place = b"" if answer.covered is None else b"id: %b\n" % answer.covered.cursor.encode()
    return b"event: next\n%bdata: %b\n\n" % (place, answer.encoded)


async def _send_part(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
