"""Counts over a run's log that go along with a stream of it.

A stream that shows the run's statistics would count the whole log again for each batch; this counts each
record once.
"""

from __future__ import annotations

from collections.abc import Sequence

from runwire.api.context import ApiContext
from runwire.api.loaders import RunCounts
from runwire.events.entry import EventLogRecord
from runwire.events.filters import EventFilter
from runwire.runs.run import RunRecord
from runwire.runs.steps import STEP_STATS_EVENTS, StepTally
from runwire.storage import MAX_PAGE


class RunningCounts:
    """The counts of a run that has not ended, as of the last record seen."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._tally = StepTally()

    async def begin(self, run: RunRecord, position: int) -> None:
        """Counts what lies before the stream: the records up to a position."""
        if run.is_finished:
            return  # its record has the counts
        counted, has_more = 0, position > 0
        while has_more:
            page = await self._context.lanes.catch_up(
                self._context.event_log_storage.get_records,
                run,
                after=counted,
                before=position + 1,
                limit=MAX_PAGE,
                filter=EventFilter(event_types=STEP_STATS_EVENTS),
            )
            self._count(page.records)
            has_more = page.has_more
            counted = page.records[-1].position if page.records else counted

    def go_on(self, run: RunRecord, records: Sequence[EventLogRecord]) -> None:
        """Counts the records of the next batch, and has the run's statistics tell of them."""
        if not run.is_finished:
            self._count(records)
            counts = self._tally.counts(run, has_ended=False)
            self._context.loader(RunCounts).prime(run, counts)

    def _count(self, records: Sequence[EventLogRecord]) -> None:
        for record in records:
            self._tally.count(record.stored_type, record.step_key)
