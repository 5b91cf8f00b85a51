"""`reportEvents`: appends what an external system reports to a MANAGED run."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.inputs import EventRecordInput
from runwire.api.events.reported import entries_of
from runwire.api.events.types import EventRecord, EventRow
from runwire.api.rows import given, result
from runwire.api.runs.errors import RunNotFound, RunStateConflict
from runwire.api.runs.types import Run
from runwire.api.user_errors import InputInvalid, input_at
from runwire.events.entry import EventLogEntry, storable_text
from runwire.events.filters import EventFilter
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.runs.run import RunRecord

MAX_FAILED_STEPS = 25

_STEP_FAILURES = EventFilter(event_types=frozenset({EventType.STEP_FAILURE}))


@strawberry.input(description="What to report into a MANAGED run.")
class ReportEventsInput:
    """What to report into a MANAGED run."""

    run_id: ID = strawberry.field(description="The id of the run.")
    events: list[EventRecordInput] = strawberry.field(
        description="The events in order, at most 1,000."
    )
    idempotency_key: str | None = strawberry.field(
        description="A text that makes the request safe to repeat: with the same key the events are stored"
        " once.",
        default=UNSET,
    )


@result("The events are stored.")
class ReportEventsSuccess:
    """The events are stored."""

    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)
    records: list[EventRow] = strawberry.field(
        description="The event records, in the order of the input.",
        graphql_type=list[EventRecord],
    )


ReportEventsResult = Annotated[
    ReportEventsSuccess | RunNotFound | RunStateConflict | InputInvalid,
    strawberry.union("ReportEventsResult", description="How `reportEvents` ended."),
]


async def report_events(
    info: ApiInfo,
    input: Annotated[ReportEventsInput, strawberry.argument(description="What to report.")],
) -> ReportEventsSuccess:
    """Appends reported events."""
    with input_at("input"):
        return await info.context.lanes.write(_report, info.context, input)


def _report(context: ApiContext, input: ReportEventsInput) -> ReportEventsSuccess:
    run_id, storage = storable_text(input.run_id), context.instance.storage
    entries = entries_of(run_id, input.events)
    if any(entry.event_type is EventType.RUN_FAILURE for entry in entries):
        entries = _with_failed_steps(entries, storage.get_run_record(run_id), context)
    records = context.instance.report_events(run_id, entries, given(input.idempotency_key))
    run = storage.get_run_record(run_id)
    return ReportEventsSuccess(run=run, records=[EventRow(record, run) for record in records])


def _with_failed_steps(
    entries: list[EventLogEntry], run: RunRecord, context: ApiContext
) -> list[EventLogEntry]:
    """The entries with the end of the run naming the steps that failed, in the log and before it."""
    page = context.event_log_storage.get_records(run, filter=_STEP_FAILURES)
    failed = [record.step_key for record in page.records]
    named: list[EventLogEntry] = []
    for entry in entries:
        if entry.event_type is EventType.STEP_FAILURE:
            failed.append(entry.step_key)
        if entry.event_type is EventType.RUN_FAILURE:
            keys = tuple(dict.fromkeys(key for key in failed if key is not None))
            data = RunFailureData(RunFailureReason.REPORTED, keys[:MAX_FAILED_STEPS])
            named.append(replace(entry, data=data))
        else:
            named.append(entry)
    return named
