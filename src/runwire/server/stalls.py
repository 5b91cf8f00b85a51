"""Clients that do not take what waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class StallWatch:
    """Tells when nothing of what waits for a client left for so long. A client that takes some is waited for.

    Args:
        loop: calls later.
        seconds: how long.
        on_stall: is called once.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, on_stall: Callable[[], object]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._on_stall = on_stall
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0

    def begin(self, transport: asyncio.Transport) -> None:
        """Begins to watch: more waits than the transport likes."""
        self.end()
        self._waiting = transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._seconds, self._check, transport)

    def end(self) -> None:
        """Ends the watch: enough has left, or the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, transport: asyncio.Transport) -> None:
        if transport.get_write_buffer_size() < self._waiting:
            self.begin(transport)
        else:
            self._on_stall()
