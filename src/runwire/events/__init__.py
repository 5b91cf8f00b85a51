"""Events: their types, payloads, entries, records, filters and cursors."""

from runwire.error_info import ErrorInfo
from runwire.events.cursor import HEAD, Cursor, CursorScope
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.events.types import EventType, LogLevel

__all__ = [
    "HEAD",
    "Cursor",
    "CursorScope",
    "ErrorInfo",
    "EventFilter",
    "EventLogEntry",
    "EventLogRecord",
    "EventRecordsFilter",
    "EventType",
    "LogLevel",
]
