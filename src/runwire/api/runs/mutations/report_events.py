"""`reportEvents`: appends what an external system reports to a MANAGED run."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.inputs import EventRecordInput
from runwire.api.events.reported import entries_of
from runwire.api.events.types import EventRecord, EventRow
from runwire.api.rows import given, result
from runwire.api.runs.errors import RunNotFound, RunStateConflict
from runwire.api.runs.types import Run
from runwire.api.user_errors import InputInvalid, input_at
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord


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
    ReportEventsSuccess | RunNotFound | RunStateConflict | InputInvalid | Forbidden,
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
    records = context.instance.report_events(run_id, entries, given(input.idempotency_key))
    run = storage.get_run_record(run_id)
    return ReportEventsSuccess(run=run, records=[EventRow(record, run) for record in records])
