"""Reading pages of logs: of one run's, and of the instance-wide one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from runwire.api.events.types import EventPage, EventRow, cursor_in_run, row_of
from runwire.api.paging import Window
from runwire.api.streams import instance_cursor
from runwire.errors import CursorExpiredError
from runwire.events.cursor import Cursor, CursorScope
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.feed import InstanceLogPlace, read_place
from runwire.runs.filters import RunsFilter
from runwire.runs.run import RunRecord
from runwire.storage import MAX_PAGE, EventLogStorage, InstanceLogRecord, InstanceStorage

DEFAULT_EVENTS = 100
"""How many event records a page has when nothing is said."""


class Span(NamedTuple):
    """The positions after one up to before another, None for no end."""

    after: int
    before: int | None = None


class Stretch(NamedTuple):
    """Event records, and whether more follow in the direction of reading."""

    rows: list[EventRow]
    has_more: bool


class LogPages(ABC):
    """Reads pages of one log. Synchronous: runs in a lane."""

    def read(self, window: Window) -> EventPage:
        """A page of the log.

        Raises:
            CursorInvalidError: a cursor is malformed, of another log, or ahead of this one.
            CursorExpiredError: what follows a cursor was purged.
            StorageUnavailableError: the log cannot be read.
        """
        span, start = self._span(window), self._start()
        stretch = self._read(span, window.limit, descending=window.backward)
        rows = stretch.rows[::-1] if window.backward else stretch.rows
        # Where reading stopped, the page tells what follows; beyond a cursor it has to be looked for.
        before = self._position(rows[0]) if rows else span.after + 1
        has_previous = (window.backward and stretch.has_more) or (
            span.after > start and self._has(Span(start, before))
        )
        after = self._position(rows[-1]) if rows else (span.before or 0) - 1
        has_next = (not window.backward and stretch.has_more) or (
            span.before is not None and self._has(Span(after))
        )
        return EventPage(rows, has_next, has_previous, self._cursor, self._count)

    @abstractmethod
    def _span(self, window: Window) -> Span:
        """Between which positions the window lies."""

    @abstractmethod
    def _start(self) -> int:
        """The position after which the log begins."""

    @abstractmethod
    def _read(self, span: Span, limit: int, *, descending: bool = False) -> Stretch:
        """Event records that match, in order."""

    @abstractmethod
    def _position(self, row: EventRow) -> int:
        """The position of an event record in the log."""

    @abstractmethod
    def _cursor(self, row: EventRow) -> str:
        """The cursor of an event record in the log."""

    @abstractmethod
    def _count(self, limit: int) -> int:
        """How many event records match, counted no further than a limit."""

    def _has(self, span: Span) -> bool:
        return bool(self._read(span, 1).rows)


@dataclass(frozen=True, slots=True)
class RunLogPages(LogPages):
    """Reads pages of one run's log."""

    logs: EventLogStorage
    run: RunRecord
    filter: EventFilter | None

    def _span(self, window: Window) -> Span:
        if window.after is None and window.before is None:
            return Span(0)
        head = self.logs.get_head(self.run).position
        return _between(window, 0, CursorScope.RUN, self.run.log_id, head)

    def _start(self) -> int:
        return 0

    def _read(self, span: Span, limit: int, *, descending: bool = False) -> Stretch:
        page = self.logs.get_records(
            self.run,
            after=span.after,
            before=span.before,
            limit=limit,
            descending=descending,
            filter=self.filter,
        )
        return Stretch([EventRow(record, self.run) for record in page.records], page.has_more)

    def _position(self, row: EventRow) -> int:
        return row.record.position

    def _cursor(self, row: EventRow) -> str:
        return cursor_in_run(row)

    def _count(self, limit: int) -> int:
        return self.logs.get_records_count(self.run, self.filter, limit=limit)


@dataclass(frozen=True, slots=True)
class InstanceLogPages(LogPages):
    """Reads pages of the instance-wide log, as it is at one moment, from after a position on."""

    storage: InstanceStorage
    filter: EventRecordsFilter
    place: InstanceLogPlace
    start: int = 0

    def _span(self, window: Window) -> Span:
        place = self.place
        span = _between(window, self._start(), CursorScope.INSTANCE, place.log_id, place.head)
        return Span(max(span.after, self.start), span.before)

    def _start(self) -> int:
        return max(self.place.purged_position, self.start)

    def _read(self, span: Span, limit: int, *, descending: bool = False) -> Stretch:
        page = self.storage.event_log_storage.get_event_records(
            self.filter,
            after=span.after,
            before=span.before,
            limit=limit,
            descending=descending,
        )
        return Stretch(_rows(self.storage, page.records), page.has_more)

    def _position(self, row: EventRow) -> int:
        return 0 if row.entry is None else row.entry.position

    def _cursor(self, row: EventRow) -> str:
        return instance_cursor(self.place.log_id, self._position(row))

    def _count(self, limit: int) -> int:
        counted, after, has_more = 0, self._start(), True
        while has_more and counted < limit:
            page = self.storage.event_log_storage.get_event_records(
                self.filter, after=after, limit=min(limit - counted, MAX_PAGE)
            )
            counted, has_more = counted + len(page.records), page.has_more
            after = page.records[-1].position if page.records else after
        return counted


def read_instance_page(
    storage: InstanceStorage, filter: EventRecordsFilter, window: Window, start: int = 0
) -> EventPage:
    """A page of the instance-wide log, as if it began after `start`; raises as `LogPages.read`.

    Synchronous: runs in a lane.
    """
    while True:
        try:
            return InstanceLogPages(storage, filter, read_place(storage), start).read(window)
        except CursorExpiredError:
            if window.after is not None or window.before is not None:
                raise
            # Its beginning was purged while it was read: it begins elsewhere now.


def _between(window: Window, start: int, scope: CursorScope, log_id: str, head: int) -> Span:
    def position(cursor: str) -> int:
        return Cursor.position_in(cursor, scope, log_id, head)

    return Span(
        start if window.after is None else position(window.after),
        None if window.before is None else position(window.before),
    )


def _rows(storage: InstanceStorage, entries: list[InstanceLogRecord]) -> list[EventRow]:
    """Entries, all of them events, with the runs that there are."""
    run_ids = frozenset(entry.run_id for entry in entries)
    if not run_ids:
        return []
    page = storage.run_storage.get_run_records(RunsFilter(run_ids=run_ids), limit=len(run_ids))
    runs = {record.run_id: record for record in page.records}
    return [
        row_of(entry, entry.event, runs.get(entry.run_id))
        for entry in entries
        if entry.event is not None
    ]
