"""Connections of HTTP whose clients may take neither for ever nor without end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from runwire.server.metrics import Metrics
from runwire.server.settings import Limits
from runwire.server.stalls import StallWatch

_TIMED_OUT = b"408 Request Timeout", b"the head of the request did not arrive in time"
_TOO_LARGE = b"431 Request Header Fields Too Large", b"the head of the request is too large"


def http_protocol(limits: Limits, metrics: Metrics) -> type[asyncio.Protocol]:
    """The protocol of HTTP within limits."""
    return type(
        "HttpProtocol",
        (HttpProtocol,),
        {"limits": limits, "metrics": metrics, "turnstile": Turnstile()},
    )


_PACE_SECONDS = 0.001
"""How long the next one waits of those who ask for a websocket at once."""


class Turnstile:
    """Has what many ask for at once be done one after another, so that others are served in between."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()

    def enter(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], object]) -> None:
        """Has something begin when all has begun that came before it."""
        self._waiting.append(begin)
        if len(self._waiting) == 1:
            loop.call_soon(self._let_in, loop)

    def _let_in(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._waiting[0]()
        finally:
            self._waiting.popleft()
            if self._waiting:
                loop.call_later(_PACE_SECONDS, self._let_in, loop)


class HttpProtocol(HttpToolsProtocol):
    """Bounds the head of a request in bytes and time, and drops a client that does not read its answer.

    Attributes:
        limits: how much, and for how long.
        metrics: counts who is refused or dropped.
        turnstile: what websockets come in by.
    """

    limits: Limits
    metrics: Metrics
    turnstile: Turnstile

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._is_in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None
        self._stall = StallWatch(self.loop, self.limits.stall_seconds, self._drop)

    def connection_made(self, transport: Any) -> None:
        """Called when a client has connected."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Called with what came in."""
        if self._is_in_head:
            self._await_head()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self.limits.head_bytes:
            self._refuse(*_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Called when the head of a request is there."""
        self._is_in_head, self._head_bytes = False, 0
        self._forget_head()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Called when all of a request is there."""
        self._is_in_head = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Called when the client does not take its answer as fast as it is sent."""
        super().pause_writing()
        self._stall.begin(self.transport)

    def resume_writing(self) -> None:
        """Called when the client has taken most of it."""
        super().resume_writing()
        self._stall.end()

    def handle_websocket_upgrade(self) -> None:
        """Called when the client asks for a websocket."""
        self._forget_head()
        self.transport.pause_reading()
        self.turnstile.enter(self.loop, self._upgrade)

    def _upgrade(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()
            super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is gone."""
        self._forget_head()
        self._stall.end()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Of several requests that were sent at once, uvicorn tells only the last one that the client has gone.
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _drop(self) -> None:
        self.metrics.stalled("http")
        self.transport.abort()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(
                self.limits.head_seconds, self._refuse, *_TIMED_OUT
            )

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: bytes, reason: bytes) -> None:
        self._forget_head()
        if self.transport.is_closing():
            return
        if self.cycle and not self.cycle.response_complete:
            # The answer to the request before is on its way: another would end up in it.
            self.transport.abort()
            return
        self.metrics.refused(int(status[:3]))
        head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        self.transport.write(
            b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, head, len(reason), reason)
        )
        self.transport.close()
