"""The floor of streams: passes each message on to all who listen, prebuilt, on the server's own foundation.

``python -m benchmarks.broadcaster`` prints its port. What is written to ``/write`` is sent to all of ``/read``.
"""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from runwire.server.address import listen

_listeners: set[WebSocket] = set()


async def _read(socket: WebSocket) -> None:
    await socket.accept()
    _listeners.add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        _listeners.discard(socket)


async def _write(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            text = await socket.receive_text()
            for listener in list(_listeners):
                await listener.send_text(text)
    except WebSocketDisconnect:
        pass


def main() -> None:
    app = Starlette(routes=[WebSocketRoute("/read", _read), WebSocketRoute("/write", _write)])
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    with listen("127.0.0.1", 0) as listener:
        print(listener.getsockname()[1], flush=True)
        asyncio.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main()
