"""Counts over a run's log that go along with a stream of it.

A stream that shows the run's statistics would count the whole log again for each batch; this counts each
record once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from strawberry.types.nodes import SelectedField, Selection

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import RunCounts
from runwire.events.entry import EventLogRecord
from runwire.events.types import EventType
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.steps import StepHistory, StepStatus, fold_steps
from runwire.storage import MAX_PAGE


def selects(info: ApiInfo, name: str) -> bool:
    """Whether an operation selects a field of a name anywhere."""
    return _any_selects(info.selected_fields, name)


def _any_selects(selections: Iterable[Selection], name: str) -> bool:
    return any(
        (isinstance(selection, SelectedField) and selection.name == name)
        or _any_selects(selection.selections, name)
        for selection in selections
    )


class RunningCounts:
    """The counts of a run that has not ended, as of the last record seen."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._histories: dict[str, StepHistory] = {}
        self._types: Counter[EventType | None] = Counter()

    async def begin(self, run: RunRecord, position: int) -> None:
        """Counts what lies before the stream: the records up to a position."""
        if run.is_finished:
            return  # its record has the counts
        counted = 0
        while counted < position:
            page = await self._context.lanes.catch_up(
                self._context.event_log_storage.get_records,
                run,
                after=counted,
                before=position + 1,
                limit=MAX_PAGE,
            )
            if not page.records:
                return  # deleted meanwhile
            self._count(page.records)
            counted = page.records[-1].position

    def go_on(self, run: RunRecord, records: Sequence[EventLogRecord]) -> None:
        """Counts the records of the next batch, and has the run's statistics tell of them."""
        if not run.is_finished:
            self._count(records)
            self._context.loader(RunCounts).prime(run, self._counts(run))

    def _count(self, records: Sequence[EventLogRecord]) -> None:
        self._histories = fold_steps(self._histories, records)
        self._types.update(record.event_type for record in records)

    def _counts(self, run: RunRecord) -> StepCounts:
        statuses = Counter(history.status for history in self._histories.values())
        return StepCounts(
            planned=max(run.run.steps_planned, len(self._histories)),
            in_progress=statuses[StepStatus.IN_PROGRESS] + statuses[StepStatus.UP_FOR_RETRY],
            succeeded=statuses[StepStatus.SUCCESS],
            failed=statuses[StepStatus.FAILURE],
            skipped=statuses[StepStatus.SKIPPED],
            materializations=self._types[EventType.ASSET_MATERIALIZATION],
            expectations=self._types[EventType.STEP_EXPECTATION_RESULT],
        )
