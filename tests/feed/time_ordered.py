"""What people do without dense positions: read what is newer, in the order of timestamps.

A writer takes the time, then commits; another that took it later may commit first. A reader that has seen
the later one has passed the earlier one, and never sees it.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from runwire.events.entry import EventLogRecord
from runwire.runs import RunRecord
from runwire.storage import Append, EventLogPage, EventLogStorage

TRANSACTION_SECONDS = 0.01


class TimeOrderedLogs:
    """Gives a log in the order of its timestamps, numbered in that order at the time of each read."""

    def __init__(self, logs: EventLogStorage) -> None:
        self._append = logs.append
        self._get_records = logs.get_records
        self._writer = threading.local()

    def append(self, record: RunRecord, append: Append, held: Any = None) -> list[EventLogRecord]:
        """Every seventh transaction of a writer took its time before it commits."""
        count = self._writer.count = getattr(self._writer, "count", 0) + 1
        if count % 7 == 0:
            entries = [
                replace(entry, timestamp=entry.timestamp - TRANSACTION_SECONDS)
                for entry in append.entries
            ]
            append = replace(append, entries=entries)
        return self._append(record, append, held)

    def get_records(
        self, record: RunRecord, *, after: int = 0, limit: int = 1000, **_: Any
    ) -> EventLogPage:
        records: list[EventLogRecord] = []
        while page := self._get_records(record, after=len(records)).records:
            records += page
        records.sort(key=lambda r: r.timestamp)
        numbered = [replace(r, position=place) for place, r in enumerate(records, 1)]
        return EventLogPage(numbered[after : after + limit], False)
