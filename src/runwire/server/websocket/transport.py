"""How frames reach the network: shared between sockets, and bounded for who does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State

from runwire.server.metrics import Metrics
from runwire.server.stalls import StallWatch

EXTENSION = "runwire.websocket.parts"
"""The ASGI extension by which a text may be sent in parts, past the layers in between: a `WriteText`."""

WriteText: TypeAlias = Callable[[Sequence[bytes]], Awaitable[None]]
"""Sends a text, in parts, to an accepted socket; waits while the client is behind.

Raises:
    OSError: the connection is gone, or closing.
"""

_NO_TEXT = 1007
_STALLED = 1013
_ABORT_SECONDS = 2.0

_SLICE_BYTES = 4 * 1024
"""How much of what comes in on a socket is taken before others may run."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_LENGTH_7, _LENGTH_16 = 126, 1 << 16


def socket_protocol(stall_seconds: float, metrics: Metrics) -> type[asyncio.Protocol]:
    """The protocol of websockets, for clients that may take nothing for so many seconds."""
    own = {"stall_seconds": stall_seconds, "metrics": metrics}
    return type("SocketProtocol", (SocketProtocol,), own)


class SocketProtocol(WebSocketsSansIOProtocol):
    """A websocket whose reader is dropped when it does not read, and that sends what others are sent, uncopied.

    Attributes:
        stall_seconds: how long nothing may leave for the client while something waits to.
        metrics: counts who is dropped.
    """

    stall_seconds: float
    metrics: Metrics

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stall = StallWatch(self.loop, self.stall_seconds, self._close_stalled)
        self._rest = bytearray()

    def data_received(self, data: bytes) -> None:
        """Called with what came in. Of many small messages that come at once, others are served in between."""
        if not self._rest and len(data) <= _SLICE_BYTES:
            self._take(data)
            return
        if not self._rest:
            self.loop.call_soon(self._take_slice)
        self._rest += data
        self.transport.pause_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """The next event; more is read from the socket once all that came in was taken."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty() and not self._rest:
            self.read_paused = False
            self.transport.resume_reading()
        return message

    def _take(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # Its head is one of HTTP, but larger than one of a handshake may be; nobody else would answer.
            self.metrics.refused(431)
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _take_slice(self) -> None:
        if self.transport.is_closing():
            self._rest.clear()
            return
        part = bytes(self._rest[:_SLICE_BYTES])
        del self._rest[:_SLICE_BYTES]
        self._take(part)
        if self._rest:
            self.loop.call_soon(self._take_slice)
        elif self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()
        else:
            self.read_paused = True

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self.write_text

    async def write_text(self, parts: Sequence[bytes]) -> None:
        """Sends a text; see `WriteText`."""
        # Of several who waited, the first may have filled it again.
        while not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.writelines(_text_frame(parts))

    def send_receive_event_to_app(self) -> None:
        """Called when a message is whole. One that is no text would be logged as a fault of the server."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self.frames = [b"".join(self.frames)]
            try:
                self.frames[0].decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(_NO_TEXT, "a text is not UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def pause_writing(self) -> None:
        """Called when the client does not take what it is sent as fast as it is sent."""
        super().pause_writing()
        self._stall.begin(self.transport)

    def resume_writing(self) -> None:
        """Called when the client has taken most of it."""
        super().resume_writing()
        self._stall.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is gone."""
        self._stall.end()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        """Called when a ping was not answered."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            # It does not read either, so that closing would wait for ever.
            self.transport.abort()

    def _close_stalled(self) -> None:
        self.metrics.stalled("websocket")
        if not self.close_sent and self.conn.state is State.OPEN:
            reason = f"nothing was read for {self.stall_seconds:g} s"
            self.queue.put_nowait(
                {"type": "websocket.disconnect", "code": _STALLED, "reason": reason}
            )
            self.conn.send_close(_STALLED, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        # Should it begin to read now, it learns why.
        self.loop.call_later(_ABORT_SECONDS, self.transport.abort)


def _text_frame(parts: Sequence[bytes]) -> list[bytes]:
    """An unmasked frame of one text, head first (RFC 6455, 5.2)."""
    length = sum(map(len, parts))
    if length < _LENGTH_7:
        head = length.to_bytes(1, "big")
    elif length < _LENGTH_16:
        head = b"\x7e" + length.to_bytes(2, "big")
    else:
        head = b"\x7f" + length.to_bytes(8, "big")
    return [bytes([0x80 | Opcode.TEXT]) + head, *parts]
