"""Reading pages of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from runwire.api.paging import Window
from runwire.api.runs.places import format_place, lies_before, parse_place
from runwire.api.streams import instance_cursor
from runwire.feed import read_place
from runwire.runs.filters import RunOrder, RunPlace, RunsFilter
from runwire.runs.run import RunRecord
from runwire.storage import InstanceStorage, RunStorage

DEFAULT_RUNS = 25
MAX_RUNS = 100
"""How many runs a page has, when nothing is said and at most."""


class RunPage(NamedTuple):
    """A page of runs, in order, and what it is a part of.

    `head_cursor` is that of the instance-wide log from before the page was read; empty unless asked for. `cursors`
    are those of the runs where these are in another order than `order` can tell. `total` is how many match, where that
    is known already.
    """

    filter: RunsFilter | None
    order: RunOrder
    records: list[RunRecord]
    has_next: bool
    has_previous: bool
    head_cursor: str = ""
    cursors: list[str] | None = None
    total: int | None = None

    def cursor_at(self, index: int) -> str:
        """The cursor of one of its runs."""
        if self.cursors is not None:
            return self.cursors[index]
        return format_place(RunPlace.of(self.records[index], self.order), self.order)


@dataclass(frozen=True, slots=True)
class RunPages:
    """Reads pages of the runs that match, in one order. Synchronous: runs in a lane."""

    storage: RunStorage
    filter: RunsFilter | None
    order: RunOrder

    def read(self, window: Window) -> RunPage:
        """A page of runs.

        Raises:
            CursorInvalidError: a cursor is malformed, or of another order.
            StorageUnavailableError: the runs cannot be read.
        """
        after = None if window.after is None else parse_place(window.after, self.order)
        before = None if window.before is None else parse_place(window.before, self.order)
        start, end = (before, after) if window.backward else (after, before)
        page = self.storage.get_run_records(
            self.filter,
            order=self.order,
            after=start,
            limit=window.limit,
            backward=window.backward,
        )
        records = [run for run in page.records if self._is_within(run, end, window.backward)]
        follows = page.has_more or len(records) < len(page.records)
        precedes = start is not None and self._has_before(records, start, window.backward)
        if window.backward:
            return RunPage(self.filter, self.order, records[::-1], precedes, follows)
        return RunPage(self.filter, self.order, records, follows, precedes)

    def _is_within(self, record: RunRecord, end: RunPlace | None, backward: bool) -> bool:
        if end is None:
            return True
        place = RunPlace.of(record, self.order)
        first, second = (end, place) if backward else (place, end)
        return lies_before(first, second, self.order)

    def _has_before(self, records: list[RunRecord], start: RunPlace, backward: bool) -> bool:
        """Whether runs lie on the other side of the place at which reading started."""
        if not records:
            return True  # the run that the cursor was given for, or those around it
        page = self.storage.get_run_records(
            self.filter,
            order=self.order,
            after=RunPlace.of(records[0], self.order),
            limit=1,
            backward=not backward,
        )
        return bool(page.records)


def read_with_head(storage: InstanceStorage, pages: RunPages, window: Window) -> RunPage:
    """A page of runs, and the head of the instance-wide log from before; raises as `RunPages.read`.

    A run that changes after that is in the stream that goes on from there, whether the page shows the change or
    not. Synchronous: runs in a lane.
    """
    place = read_place(storage)
    return pages.read(window)._replace(head_cursor=instance_cursor(place.log_id, place.head))
