"""One websocket: its frames go through the protocol, its operations are executed side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from runwire.api.access import Principal
from runwire.server.allowance import Refusals
from runwire.server.auth import UnauthenticatedError
from runwire.server.callers import CrowdedError
from runwire.server.cohorts import Cohorts
from runwire.server.encoding import encode_json
from runwire.server.log_context import operation_id
from runwire.server.operations import error_of_fault
from runwire.server.settings import Limits
from runwire.server.websocket.dialects import Dialect, choose
from runwire.server.websocket.messages import Payload
from runwire.server.websocket.protocol import (
    RESULT_TAIL,
    Action,
    Admission,
    Close,
    Operation,
    Protocol,
    Reply,
    Stop,
    complete_message,
)
from runwire.server.websocket.transport import EXTENSION, WriteText

_NO_INIT = Close(4408, "Connection initialisation timeout")
_EXPIRED = Close(4403, "Forbidden: the token has expired")
_TOO_OLD = Close(1012, "the connection is as old as one may be; connect again, and resume")

_BURST = 8
"""How many messages are sent before others may run, though nobody has to wait."""

_BEGINNING, _BEGIN_SECONDS = 2, 0.01
"""While so many operations of a socket have not answered yet, the next one waits for one of them, or so long."""

_MAX_REFUSED = 100
"""How many operations a socket may begin that are too many, before it is closed."""


class Session:
    """Serves one socket until either side closes it.

    Args:
        socket: the socket.
        dialects: what may be spoken, the best one first.
        admit: who speaks, by the payload of connection_init; raises UnauthenticatedError.
        cohorts: executes operations.
        limits: how much is taken.
        refusals: holds back what refuses.
    """

    def __init__(
        self,
        socket: WebSocket,
        dialects: Sequence[Dialect],
        admit: Callable[[Payload], Awaitable[Principal]],
        cohorts: Cohorts,
        limits: Limits,
        refusals: Refusals,
    ) -> None:
        self._admit = admit
        self._socket = socket
        self._dialects = dialects
        self._cohorts = cohorts
        self._refusals = refusals
        self._limits = limits
        self._write: WriteText | None = socket.scope.get("extensions", {}).get(EXTENSION)
        self._sent = 0
        self._tasks: dict[Operation, asyncio.Task[None]] = {}
        self._beginning: set[Operation] = set()
        self._one_has_begun = asyncio.Event()

    async def run(self) -> None:
        """Accepts the socket and serves it."""
        dialect = choose(self._socket.scope["subprotocols"], self._dialects)
        if dialect is None:
            spoken = " or ".join(each.subprotocol for each in self._dialects)
            await self._socket.accept()
            await self._socket.close(4406, f"Subprotocol not acceptable: speak {spoken}")
            return
        await self._socket.accept(dialect.subprotocol)
        self._protocol = Protocol(dialect, self._limits.operations)
        close: Close | None = None
        try:
            with suppress(WebSocketDisconnect):
                close = await self._converse()
        finally:
            await self._stop_all()
        if close is not None:
            with suppress(WebSocketDisconnect):
                if close.message is not None:
                    await self._send(close.message)
                await self._socket.close(close.code, close.reason)

    async def _converse(self) -> Close:
        """Receives frames until one asks for the end; returns how to close."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        until, end = began + self._limits.init_seconds, _NO_INIT
        refused = 0
        while True:
            was_acknowledged = self._protocol.is_acknowledged
            frame = await self._receive(until)
            if frame is None:
                return end
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame["code"], frame.get("reason"))
            text = frame.get("text")
            action = (
                self._protocol.receive_bytes()
                if text is None
                else self._protocol.receive_text(text)
            )
            if isinstance(action, Admission):
                action = await self._ask(action)
            if not was_acknowledged and self._protocol.is_acknowledged:
                until, end = began + self._limits.connection_seconds, _TOO_OLD
                left = self._protocol.seconds_left
                if left is not None and loop.time() + left < until:
                    until, end = loop.time() + left, _EXPIRED
            match action:
                case Reply():
                    if action.refuses is not None:
                        refused += 1
                        if refused > _MAX_REFUSED:
                            return Close(4429, f"Too many operations: {_MAX_REFUSED} were refused")
                        # Till then nothing more is read from the socket.
                        await self._refusals.hold_back(action.refuses)
                    await self._send(action.message)
                case Operation():
                    self._start(action)
                    await self._let_begin()
                case Stop():
                    self._cancel(action.operation)
                case Close():
                    return action
                case _:
                    pass

    async def _ask(self, admission: Admission) -> Action:
        """Finds out who speaks."""
        try:
            return self._protocol.admit(await self._admit(admission.payload))
        except UnauthenticatedError as error:
            return self._protocol.refuse(error.problem)
        except CrowdedError as error:
            return Close(4429, f"Too many connections: {error}")

    async def _receive(self, until: float) -> MutableMapping[str, Any] | None:
        """The next frame; None when the time is up, however many frames wait."""
        if asyncio.get_running_loop().time() >= until:
            return None
        try:
            async with asyncio.timeout_at(until):
                return await self._socket.receive()
        except TimeoutError:
            return None

    def _start(self, operation: Operation) -> None:
        self._beginning.add(operation)
        task = asyncio.create_task(self._execute(operation), name=f"operation {operation.id}")
        self._tasks[operation] = task
        task.add_done_callback(lambda _: self._ended(operation))

    async def _let_begin(self) -> None:
        """Has many operations that come at once not begin at once, so that others are served in between."""
        if len(self._beginning) < _BEGINNING:
            await asyncio.sleep(0)
            return
        self._one_has_begun.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_BEGIN_SECONDS):
                await self._one_has_begun.wait()

    def _ended(self, operation: Operation) -> None:
        self._has_begun(operation)
        self._tasks.pop(operation, None)

    def _has_begun(self, operation: Operation) -> None:
        if operation in self._beginning:
            self._beginning.discard(operation)
            self._one_has_begun.set()

    def _cancel(self, operation: Operation) -> None:
        task = self._tasks.get(operation)
        if task is not None:
            task.cancel()

    async def _stop_all(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _execute(self, operation: Operation) -> None:
        operation_id.set(operation.id)
        try:
            final = await self._send_results(operation)
        except WebSocketDisconnect:
            return
        except Exception as fault:  # noqa: BLE001 - it is logged with its id
            final = self._protocol.error_message(operation.id, [error_of_fault(fault)])
        # The client may use the id again as soon as it has read the last message.
        self._protocol.end(operation)
        with suppress(WebSocketDisconnect):
            await self._send(final)

    async def _send_results(self, operation: Operation) -> dict[str, Any]:
        """Sends the results of an operation; returns its last message, not sent yet."""
        head = self._protocol.result_head(operation.id)
        results = self._cohorts.stream(operation.request, operation.principal)
        async with aclosing(results):
            async for answer in results:
                self._has_begun(operation)
                if not answer.was_executed:
                    return self._protocol.error_message(operation.id, answer.payload["errors"])
                await self._send_parts((head, answer.encoded, RESULT_TAIL))
        return complete_message(operation.id)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_parts((encode_json(message),))

    async def _send_parts(self, parts: tuple[bytes, ...]) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect(1006)
        if self._write is None:
            await self._socket.send_text(b"".join(parts).decode())
        else:
            try:
                await self._write(parts)
            except OSError:
                raise WebSocketDisconnect(1006) from None
        self._sent += 1
        if self._sent % _BURST == 0:
            # A send that need not wait does not let others run: a fast stream would have the loop to itself,
            # and the loop could not even see that the socket is gone.
            await asyncio.sleep(0)
