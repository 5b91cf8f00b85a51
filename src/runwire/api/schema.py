"""The schema: it only joins the parts."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from runwire.api.access import Permission, declare_permissions, guard
from runwire.api.assets.queries import AssetQueries
from runwire.api.backfills.mutations.cancel_backfill import (
    CancelBackfillResult,
    cancel_backfill,
)
from runwire.api.backfills.mutations.create_backfill import (
    CreateBackfillResult,
    create_backfill,
)
from runwire.api.backfills.mutations.resume_backfill import (
    ResumeBackfillResult,
    resume_backfill,
)
from runwire.api.backfills.queries import BackfillQueries
from runwire.api.compiled import CompilingExecutor
from runwire.api.errors import REFUSALS, PublicErrors
from runwire.api.events.queries import EventQueries
from runwire.api.events.subscriptions import EventRecordsPayload, event_records
from runwire.api.instance.daemons import DaemonStatus, daemon_heartbeats
from runwire.api.instance.queries import InstanceQueries
from runwire.api.locations.mutations.reload_code_location import (
    ReloadCodeLocationResult,
    reload_code_location,
)
from runwire.api.locations.queries import LocationQueries
from runwire.api.locations.subscriptions import CodeLocationChange, code_location_changes
from runwire.api.mutations import mutation
from runwire.api.node import NodeQueries
from runwire.api.pools.mutations.delete_pool_limit import DeletePoolLimitResult, delete_pool_limit
from runwire.api.pools.mutations.set_pool_limit import SetPoolLimitResult, set_pool_limit
from runwire.api.pools.queries import PoolQueries
from runwire.api.runs.bulk import RunDamaged
from runwire.api.runs.mutations.add_run_tags import AddRunTagsResult, add_run_tags
from runwire.api.runs.mutations.create_run import CreateRunResult, create_run
from runwire.api.runs.mutations.delete_run import DeleteRunResult, delete_run
from runwire.api.runs.mutations.delete_runs import DeleteRunsResult, delete_runs
from runwire.api.runs.mutations.launch_run import LaunchRunResult, launch_run
from runwire.api.runs.mutations.reexecute_run import ReexecuteRunResult, reexecute_run
from runwire.api.runs.mutations.report_events import ReportEventsResult, report_events
from runwire.api.runs.mutations.resume_run import ResumeRunResult, resume_run
from runwire.api.runs.mutations.submit_run import SubmitRunResult, submit_run
from runwire.api.runs.mutations.terminate_run import TerminateRunResult, terminate_run
from runwire.api.runs.mutations.terminate_runs import TerminateRunsResult, terminate_runs
from runwire.api.runs.queries import RunQueries
from runwire.api.runs.run_changes import RunsPayload, runs
from runwire.api.runs.subscriptions import RunEventsPayload, run_events
from runwire.api.scalars import SCALARS
from runwire.api.ticks.mutations.evaluate_tick import EvaluateTickResult, evaluate_tick
from runwire.api.ticks.mutations.set_sensor_cursor import (
    SetSensorCursorResult,
    set_sensor_cursor,
)
from runwire.api.ticks.mutations.start_schedule import StartScheduleResult, start_schedule
from runwire.api.ticks.mutations.start_sensor import StartSensorResult, start_sensor
from runwire.api.ticks.mutations.stop_schedule import StopScheduleResult, stop_schedule
from runwire.api.ticks.mutations.stop_sensor import StopSensorResult, stop_sensor
from runwire.api.ticks.queries import TickQueries
from runwire.api.webhooks.mutations.pause_webhook import PauseWebhookResult, pause_webhook
from runwire.api.webhooks.mutations.redeliver_webhook import (
    RedeliverWebhookResult,
    redeliver_webhook,
)
from runwire.api.webhooks.mutations.resume_webhook import ResumeWebhookResult, resume_webhook


@strawberry.type(
    description="The reads of the API. A thing that is not there is null; a refused argument or a fault is a"
    " GraphQL error whose `extensions.code` is INVALID_ARGUMENT, CURSOR_INVALID, CURSOR_EXPIRED, FORBIDDEN,"
    " UNAVAILABLE, DEADLINE_EXCEEDED, RATE_LIMITED, or INTERNAL with an `errorId` that the server's log carries."
)
class Query(
    NodeQueries,
    InstanceQueries,
    RunQueries,
    PoolQueries,
    BackfillQueries,
    EventQueries,
    AssetQueries,
    LocationQueries,
    TickQueries,
):
    """The reads of the API."""


@strawberry.type(
    description="The writes of the API. Each takes one input and answers a success or a typed error."
)
class Mutation:
    """The writes of the API."""

    create_run = mutation(
        create_run,
        CreateRunResult,
        Permission.SUBMIT_RUNS,
        "Makes a run and leaves it in NOT_STARTED, or in MANAGED for an external system.",
    )
    submit_run = mutation(
        submit_run,
        SubmitRunResult,
        Permission.SUBMIT_RUNS,
        "Hands a run to the run coordinator, which launches it now or queues it.",
    )
    launch_run = mutation(
        launch_run,
        LaunchRunResult,
        Permission.SUBMIT_RUNS,
        "Hands a run straight to the run launcher, past the queue and its limits.",
    )
    resume_run = mutation(
        resume_run,
        ResumeRunResult,
        Permission.SUBMIT_RUNS,
        "Continues a launched run whose worker died; finished steps do not run again.",
    )
    reexecute_run = mutation(
        reexecute_run,
        ReexecuteRunResult,
        Permission.SUBMIT_RUNS,
        "Makes and submits a new run after an ended one, for all of its steps or some.",
    )
    terminate_run = mutation(
        terminate_run,
        TerminateRunResult,
        Permission.TERMINATE_RUNS,
        "Stops a run that has not ended.",
    )
    terminate_runs = mutation(
        terminate_runs,
        TerminateRunsResult,
        Permission.TERMINATE_RUNS,
        "Stops the runs that match a filter.",
    )
    delete_run = mutation(
        delete_run,
        DeleteRunResult,
        Permission.DELETE_RUNS,
        "Deletes a run with its event log and its files.",
    )
    delete_runs = mutation(
        delete_runs,
        DeleteRunsResult,
        Permission.DELETE_RUNS,
        "Deletes the runs that match a filter, as `deleteRun` does.",
    )
    add_run_tags = mutation(
        add_run_tags,
        AddRunTagsResult,
        Permission.TAG_RUNS,
        "Adds tags to a run; a key that it has already gets the new value.",
    )
    set_pool_limit = mutation(
        set_pool_limit,
        SetPoolLimitResult,
        Permission.SET_POOL_LIMITS,
        "Sets how many steps of all runs hold slots of a concurrency pool at once. Steps that have slots keep them.",
    )
    delete_pool_limit = mutation(
        delete_pool_limit,
        DeletePoolLimitResult,
        Permission.SET_POOL_LIMITS,
        "Takes away the limit of a concurrency pool, so that the default limit of the instance holds.",
    )
    create_backfill = mutation(
        create_backfill,
        CreateBackfillResult,
        Permission.SUBMIT_RUNS,
        "Asks for runs of many partitions of a job, which the daemon BACKFILLS makes and submits.",
    )
    cancel_backfill = mutation(
        cancel_backfill,
        CancelBackfillResult,
        Permission.TERMINATE_RUNS,
        "Ends a backfill: no run of it is made any more, and those that wait are canceled.",
    )
    resume_backfill = mutation(
        resume_backfill,
        ResumeBackfillResult,
        Permission.SUBMIT_RUNS,
        "Has a backfill that has ended submit again the partitions whose last run of it did not succeed, and make"
        " what it has not made.",
    )
    report_events = mutation(
        report_events,
        ReportEventsResult,
        Permission.REPORT_EVENTS,
        "Appends the events that an external system reports to a MANAGED run, all or none.",
    )
    start_schedule = mutation(
        start_schedule,
        StartScheduleResult,
        Permission.OPERATE_SCHEDULES,
        "Starts a schedule; nothing changes when it runs already.",
    )
    stop_schedule = mutation(
        stop_schedule,
        StopScheduleResult,
        Permission.OPERATE_SCHEDULES,
        "Stops a schedule; nothing changes when it is stopped already.",
    )
    start_sensor = mutation(
        start_sensor,
        StartSensorResult,
        Permission.OPERATE_SENSORS,
        "Starts a sensor from its stored cursor; nothing changes when it runs already.",
    )
    stop_sensor = mutation(
        stop_sensor,
        StopSensorResult,
        Permission.OPERATE_SENSORS,
        "Stops a sensor and keeps its cursor; nothing changes when it is stopped already.",
    )
    set_sensor_cursor = mutation(
        set_sensor_cursor,
        SetSensorCursorResult,
        Permission.OPERATE_SENSORS,
        "Replaces the stored cursor of a sensor; an evaluation that is under way is made anew.",
    )
    evaluate_tick = mutation(
        evaluate_tick,
        EvaluateTickResult,
        Permission.EVALUATE_TICKS,
        "Evaluates a schedule or sensor once and stores nothing: no tick, no cursor, no run.",
    )
    reload_code_location = mutation(
        reload_code_location,
        ReloadCodeLocationResult,
        Permission.RELOAD_CODE_LOCATIONS,
        "Loads a code location anew; running runs are not touched. A location that fails to load is a success"
        " here, with its `loadError`.",
    )
    pause_webhook = mutation(
        pause_webhook,
        PauseWebhookResult,
        Permission.OPERATE_WEBHOOKS,
        "Has no events be sent to a webhook any more; it keeps its place. Nothing changes when it is DISABLED.",
    )
    resume_webhook = mutation(
        resume_webhook,
        ResumeWebhookResult,
        Permission.OPERATE_WEBHOOKS,
        "Has events be sent to a webhook again, from where it was; what is to be sent again is sent at once.",
    )
    redeliver_webhook = mutation(
        redeliver_webhook,
        RedeliverWebhookResult,
        Permission.OPERATE_WEBHOOKS,
        "Sends events again that a webhook did not take and that were given up, in no order.",
    )


@strawberry.type(
    description="The live streams of the API. An error member ends its stream; an empty batch every 15 seconds"
    " carries the cursors."
)
class Subscription:
    """The live streams of the API."""

    run_events = strawberry.subscription(
        resolver=run_events,
        graphql_type=RunEventsPayload,
        description="Follows the event log of one run, every position once and in order; completes after the"
        " run's terminal event.",
    )
    event_records = strawberry.subscription(
        resolver=event_records,
        graphql_type=EventRecordsPayload,
        description="Follows the events of runs themselves, STEP_FAILURE and asset events of all runs in commit"
        " order.",
    )
    runs = strawberry.subscription(
        resolver=runs,
        graphql_type=RunsPayload,
        description="Follows the runs that match a filter as they come, change and go; start from"
        " `RunConnection.headCursor` to continue a page without a gap.",
    )
    daemon_heartbeats = strawberry.subscription(
        resolver=daemon_heartbeats,
        graphql_type=DaemonStatus,
        description="Sends the status of every daemon at once, then each again when it beats, falls silent, errs"
        " or changes hands. Refused by a GraphQL error; no batches, no cursor.",
    )
    code_location_changes = strawberry.subscription(
        resolver=code_location_changes,
        graphql_type=CodeLocationChange,
        description="Sends every code location at once as CREATED, then each change of one. Refused by a GraphQL"
        " error; no batches, no cursor.",
    )


class RunwireSchema(strawberry.Schema):
    """The schema; its errors are logged where they are mapped, and only those that nobody expected."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Leaves errors to `runwire.api.errors`."""


_FREE = frozenset({"viewer"})
"""The root fields that anybody may ask for."""


def build_schema(**options: Any) -> RunwireSchema:
    """A schema; `options` go to Strawberry's, such as more extensions."""
    extensions = [*options.pop("extensions", ()), PublicErrors]
    declare_permissions(Query, Mutation, Subscription, _FREE)
    made = RunwireSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[RunDamaged],  # no union has it
        extensions=extensions,
        execution_context_class=CompilingExecutor,
        exception_handlers=REFUSALS,
        config=StrawberryConfig(scalar_map=SCALARS),
        **options,
    )
    guard(made._schema)  # noqa: SLF001 - strawberry has no other way to it
    return made


schema = build_schema()

_NATIVE_DIRECTIVE = "directive @oneOf on INPUT_OBJECT\n\n"
"""Strawberry declares it; to GraphQL it is built in."""


@cache
def print_schema() -> str:
    """The schema as it is published: in the schema definition language, ending with a newline."""
    return schema.as_str().replace(_NATIVE_DIRECTIVE, "", 1) + "\n"
