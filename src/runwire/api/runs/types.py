"""Runs."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.context import ApiInfo
from runwire.api.events.inputs import EventFilter
from runwire.api.events.pages import DEFAULT_EVENTS, RunLogPages
from runwire.api.events.types import EventPage, EventRecordConnection
from runwire.api.nodes import Node, global_id
from runwire.api.paging import Window
from runwire.api.rows import field, given, later, loaded, resolved, view
from runwire.api.runs.enums import RunAction, RunStatus
from runwire.api.runs.failure import FailureRow, RunFailure
from runwire.api.runs.groups import GroupRow, RunGroup, read_parent, read_root
from runwire.api.runs.origin import RunOrigin
from runwire.api.runs.queue_states import read_state
from runwire.api.runs.stats import RunStats, stats_of
from runwire.api.runs.steps import RunStepConnection, read_steps
from runwire.api.scalars import JSON, DateTime
from runwire.api.tags import Tag, tags_of
from runwire.api.tick_loaders import read_tick
from runwire.runs.run import RunRecord
from runwire.runs.status import actions_in
from runwire.storage import MAX_PAGE


async def _events(
    root: strawberry.Parent[RunRecord],
    info: ApiInfo,
    filter: Annotated[
        EventFilter | None,
        strawberry.argument(description="Which event records; all when left out."),
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many records from the start.")
    ] = UNSET,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the record before the first one wanted."),
    ] = UNSET,
    last: Annotated[
        int | None, strawberry.argument(description="How many records from the end.")
    ] = UNSET,
    before: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the record after the last one wanted."),
    ] = UNSET,
) -> EventPage:
    window = Window.of(
        given(first),
        given(after),
        given(last),
        given(before),
        default=DEFAULT_EVENTS,
        maximum=MAX_PAGE,
    )
    wanted = given(filter)
    pages = RunLogPages(
        info.context.event_log_storage, root, None if wanted is None else wanted.to_filter()
    )
    return await info.context.lanes.read(pages.read, window)


@view(RunRecord, "One execution of a job.")
class Run(Node):
    """One execution of a job."""

    id: ID = field("The global id of the run.", lambda record: global_id("Run", record.run_id))
    run_id: ID = field("The id of the run, a UUID unless its maker chose another.")
    job_name: str = field(
        "The name of the job that it executes.", lambda record: record.run.job_name
    )
    status: RunStatus = field("The status of the run.")
    actions: list[RunAction] = field(
        "What its status lets be done with it.", lambda record: actions_in(record.status)
    )
    tags: list[Tag] = field("Its tags, by key.", lambda record: tags_of(record.run.tags))
    run_config: JSON = field(
        "The run config that it was given.", lambda record: record.run.run_config
    )
    origin: RunOrigin = field(
        "What it was made from: definition, selection and maker.", lambda record: record.run
    )
    created_at: DateTime = field("When it was made.")
    updated_at: DateTime = field("When its status or tags last changed.")
    started_at: DateTime | None = field(
        "When its worker began, or an external system said so; null before."
    )
    ended_at: DateTime | None = field("When it ended; null before.")
    parent_run: Run | None = loaded(
        read_parent,
        "The run that it re-executes; null when it re-executes none or that one is deleted.",
        type=later("Run", __name__) | None,
    )
    root_run: Run | None = loaded(
        read_root,
        "The first run of its group, itself when it re-executes none; null when that one is deleted.",
        type=later("Run", __name__) | None,
    )
    group: RunGroup = field(
        "The runs that descend from one root by re-execution, itself included.",
        lambda record: GroupRow(record.root_run_id),
    )
    queue: object = loaded(
        read_state,
        "Its place in the queue and what it waits for; null unless QUEUED.",
        type=later("RunQueueState", "runwire.api.runs.queue") | None,
    )
    tick: object = resolved(
        read_tick,
        "The tick that requested it; null when no schedule or sensor did, and when the tick was purged.",
        type=later("Tick", "runwire.api.ticks.types") | None,
    )
    failure: RunFailure | None = field("Why it failed; null unless FAILURE.", FailureRow.of)
    stats: RunStats = loaded(
        stats_of, "Counts and instants from its event log, kept on the run.", type=RunStats
    )
    steps: RunStepConnection | None = resolved(
        read_steps,
        "Its steps by level and key, those not yet begun included; null when its event log cannot be read.",
        type=RunStepConnection | None,
    )
    events: EventRecordConnection | None = resolved(
        _events,
        "Its event log, oldest first; null when it cannot be read.",
        type=EventRecordConnection | None,
    )
