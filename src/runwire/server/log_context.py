"""What a line of the log tells of the request that it is about; known wherever the request is worked on."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request, or of the handshake of the websocket."""

operation_name: ContextVar[str | None] = ContextVar("operation_name", default=None)
"""The name of the operation, as its document has it."""

operation_id: ContextVar[str | None] = ContextVar("operation_id", default=None)
"""The id that the client gave the operation on its websocket."""

_MAX_LENGTH = 128
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")


def begin_request(presented: str | None) -> str:
    """Begins a request; returns its id: the presented one if it may stand in a log, else a new one."""
    sane = None if presented is None else _SANE.fullmatch(presented)
    given = uuid.uuid4().hex if sane is None else sane.group()
    request_id.set(given)
    operation_name.set(None)
    operation_id.set(None)
    return given


def told() -> dict[str, str]:
    """What is known here, by the name that the log gives it; of what a client made up, the beginning."""
    known = {
        "request_id": request_id.get(),
        "operation": operation_name.get(),
        "operation_id": operation_id.get(),
    }
    return {name: value[:_MAX_LENGTH] for name, value in known.items() if value is not None}
