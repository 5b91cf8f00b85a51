"""How the log of a process that serves looks: lines of text for people, or of JSON for what collects them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Literal

from runwire.server.encoding import encode_json
from runwire.server.log_context import told

LogFormat = Literal["text", "json"]

_HANDLER = "runwire"
_EXTRAS = ("error_id", "outcome", "duration_ms")
"""What a line may tell beside its message, if it is JSON."""


def configure_logging(format: LogFormat, level: str) -> None:
    """Has this process log to stderr, in place of what an earlier call said. A log that others set up is left alone.

    Other libraries log warnings at least, whatever the level: what they say below that may show headers.

    Args:
        format: what a line looks like.
        level: the name of the lowest level that runwire itself logs.
    """
    handler = logging.StreamHandler()
    handler.set_name(_HANDLER)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    root = logging.getLogger()
    for known in root.handlers.copy():
        if known.get_name() == _HANDLER:
            root.removeHandler(known)
    if not root.handlers:
        root.addHandler(handler)
    chosen = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(chosen, logging.WARNING))
    logging.getLogger("runwire").setLevel(chosen)


class TextLines(logging.Formatter):
    """A line with what is known of the request at its end; a traceback follows in lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class calls it so
        line = super().formatMessage(record)
        known = " ".join(f"{name}={value}" for name, value in told().items())
        return f"{line} [{known.encode('unicode_escape').decode()}]" if known else line


class JsonLines(logging.Formatter):
    """An object on a line, a traceback as its `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **told(),
            **{name: getattr(record, name) for name in _EXTRAS if hasattr(record, name)},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return encode_json(line).decode()
