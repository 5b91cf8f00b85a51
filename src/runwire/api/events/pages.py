"""Reading pages of a run's log."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.api.events.types import EventPage
from runwire.api.paging import Window
from runwire.events.cursor import Cursor, CursorScope
from runwire.events.filters import EventFilter
from runwire.runs.run import RunRecord
from runwire.storage import EventLogStorage


@dataclass(frozen=True, slots=True)
class EventPages:
    """Reads pages of one run's log. Synchronous: runs in a lane."""

    logs: EventLogStorage
    run: RunRecord
    filter: EventFilter | None

    def read(self, window: Window) -> EventPage:
        """A page of the log.

        Raises:
            CursorInvalidError: a cursor is malformed, of another log, or ahead of this one.
            StorageUnavailableError: the log cannot be read.
        """
        after, before = self._bounds(window)
        page = self.logs.get_records(
            self.run,
            after=after,
            before=before,
            limit=window.limit,
            descending=window.backward,
            filter=self.filter,
        )
        records = page.records[::-1] if window.backward else page.records
        # Where reading stopped, the page tells what follows; beyond a cursor it has to be looked for.
        before_page = (window.backward and page.has_more) or (
            after > 0 and self._has(before=records[0].position if records else after + 1)
        )
        after_page = (not window.backward and page.has_more) or (
            before is not None and self._has(after=records[-1].position if records else before - 1)
        )
        return EventPage(self.run, self.filter, records, after_page, before_page)

    def _bounds(self, window: Window) -> tuple[int, int | None]:
        if window.after is None and window.before is None:
            return 0, None
        head = self.logs.get_head(self.run).position
        after = 0 if window.after is None else self._position(window.after, head)
        return after, None if window.before is None else self._position(window.before, head)

    def _position(self, cursor: str, head: int) -> int:
        return Cursor.position_in(cursor, CursorScope.RUN, self.run.log_id, head)

    def _has(self, *, after: int = 0, before: int | None = None) -> bool:
        page = self.logs.get_records(
            self.run, after=after, before=before, limit=1, filter=self.filter
        )
        return bool(page.records)
