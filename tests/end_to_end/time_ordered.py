"""The control: a storage that reads a log in the order of its timestamps, as many systems do.

Its positions are ranks in that order. An event that is stored after a later-stamped one shifts the ranks, so
that whoever had read up to a rank misses one event and gets another twice.
"""

from __future__ import annotations

from dataclasses import replace

from runwire.events import EventFilter
from runwire.runs import RunRecord
from runwire.storage import MAX_PAGE, EventLogPage
from runwire.storages.sqlite import SqliteEventLogStorage, SqliteStorage


class TimeOrderedEventLogStorage(SqliteEventLogStorage):
    """Ranks by timestamp instead of positions."""

    def get_records(
        self,
        record: RunRecord,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = MAX_PAGE,
        descending: bool = False,
        filter: EventFilter | None = None,
    ) -> EventLogPage:
        everything, page = [], super().get_records(record)
        while page.records:
            everything += page.records
            page = super().get_records(record, after=page.records[-1].position)
        ranked = [
            replace(event, position=rank)
            for rank, event in enumerate(sorted(everything, key=lambda event: event.timestamp), 1)
        ]
        end = len(ranked) if before is None else before - 1
        return EventLogPage(ranked[after:end][:limit], has_more=end - after > limit)


class TimeOrderedStorage(SqliteStorage):
    """SQLite whose logs are read in the order of time."""

    @property
    def event_log_storage(self) -> TimeOrderedEventLogStorage:
        storage = super().event_log_storage
        storage.__class__ = TimeOrderedEventLogStorage
        assert isinstance(storage, TimeOrderedEventLogStorage)
        return storage
