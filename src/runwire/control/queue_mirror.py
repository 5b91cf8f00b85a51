"""The queue of an instance in memory, kept up to date from the instance-wide log."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from runwire.errors import CursorExpiredError
from runwire.events.types import RUN_EVENTS, EventType
from runwire.runs.filters import OLDEST_FIRST, RunPlace, RunsFilter
from runwire.runs.queue_index import QueueIndex
from runwire.runs.queueing import QueueSettings
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.storage.event_log_storage import InstanceLogSpan
from runwire.storage.instance_log import MAX_PAGE, InstanceEventKind, InstanceLogRecord
from runwire.storage.instance_storage import InstanceStorage

logger = logging.getLogger(__name__)

PAGE = 500

MAX_BEHIND = 50_000
"""From how many entries of the log on all is read anew instead."""

_QUEUED = frozenset({RunStatus.QUEUED})
_ALL_KINDS = tuple(InstanceEventKind)


class QueueMirror:
    """Follows the queue: each `sync` reads what the instance-wide log tells since the last one. Not thread-safe.

    Args:
        storage: keeps the runs.
        settings: the limits and the order.
    """

    def __init__(self, storage: InstanceStorage, settings: QueueSettings) -> None:
        self._storage = storage
        self._settings = settings
        self._log_id: str | None = None
        self._position = 0
        self.index = QueueIndex(settings)
        self.put_back_at: dict[str | None, float] = {}
        """When a run was put back because its code location did not answer, by the name of that; the last time."""

    @property
    def place(self) -> tuple[str, int]:
        """The id of the instance-wide log, and the position up to which the index tells of it."""
        return self._log_id or "", self._position

    @property
    def is_loaded(self) -> bool:
        """Whether it knows the queue as it was once."""
        return self._log_id is not None

    def forget(self) -> None:
        """Has the next `sync` read everything."""
        self._log_id = None

    def sync(self) -> None:
        """Makes the index tell of the queue as it is now.

        Raises:
            StorageUnavailableError: the storage cannot be read; the next call goes on from there.
        """
        logs = self._storage.event_log_storage
        log_id, span = logs.get_instance_log_id(), logs.get_instance_log_span()
        if log_id != self._log_id or not 0 <= span.head - self._position <= MAX_BEHIND:
            self._load(log_id, span)
        try:
            while self._position < span.head:
                self._read_page()
        except CursorExpiredError:
            self._load(log_id, logs.get_instance_log_span())

    def look_at(self, run_id: str) -> RunRecord | None:
        """Takes a run as its row is now; returns it, None when there is none."""
        record = self._storage.run_storage.find_run_record(run_id)
        if record is None:
            self.index.remove(run_id)
        else:
            self.index.put(record)
        return record

    def _load(self, log_id: str, span: InstanceLogSpan) -> None:
        # What changes meanwhile is told by the log after that place.
        self._log_id, index = None, QueueIndex(self._settings)
        index.load(self._pages(_QUEUED))
        for record in self._pages(IN_PROGRESS_STATUSES):
            index.put(record)
        self.index, self._log_id, self._position = index, log_id, span.head

    def _pages(self, statuses: frozenset[RunStatus]) -> Iterator[RunRecord]:
        place: RunPlace | None = None
        while True:
            page = self._storage.run_storage.get_run_records(
                RunsFilter(statuses=statuses), order=OLDEST_FIRST, after=place, limit=PAGE
            )
            yield from page.records
            if not page.has_more:
                return
            place = RunPlace.of(page.records[-1], OLDEST_FIRST)

    def _read_page(self) -> None:
        page = self._storage.event_log_storage.get_event_records(
            after=self._position, limit=MAX_PAGE, kinds=_ALL_KINDS
        )
        if not page.records:
            return
        self._take([entry for entry in page.records if _matters(entry)])
        self._position = page.records[-1].position

    def _take(self, entries: Collection[InstanceLogRecord]) -> None:
        """Takes the runs of entries as their rows are now, which is never older than these."""
        put_back = {entry.run_id: entry.timestamp for entry in entries if _tells_of_failure(entry)}
        run_ids = sorted({entry.run_id for entry in entries})
        for first in range(0, len(run_ids), PAGE):
            some = frozenset(run_ids[first : first + PAGE])
            page = self._storage.run_storage.get_run_records(
                RunsFilter(run_ids=some), limit=len(some)
            )
            for record in page.records:
                self.index.put(record)
                if record.run_id in put_back:
                    self.put_back_at[record.run.location_name] = put_back[record.run_id]
            for run_id in some - {record.run_id for record in page.records}:
                self.index.remove(run_id)


def _tells_of_failure(entry: InstanceLogRecord) -> bool:
    event = entry.event
    return (
        event is not None and event.event_type is EventType.RUN_ENQUEUED and event.error is not None
    )


def _matters(entry: InstanceLogRecord) -> bool:
    if entry.event is None:
        return entry.kind is not InstanceEventKind.RUN_CREATED
    return entry.event.applied and entry.event.event_type in RUN_EVENTS
