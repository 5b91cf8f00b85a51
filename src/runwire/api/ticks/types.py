"""Schedules and their ticks."""

from __future__ import annotations

import re
from typing import Annotated, Any

import strawberry
from strawberry import ID, UNSET

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.metadata import ErrorInfo
from runwire.api.loaders import JobRow
from runwire.api.locations.types import CodeLocation, Job
from runwire.api.nodes import Node, global_id
from runwire.api.paging import PageInfo, Window, check_limit
from runwire.api.rows import describe_enum, field, given, later, resolved, view
from runwire.api.runs.page_reads import DEFAULT_RUNS, MAX_RUNS, RunPage
from runwire.api.scalars import DateTime
from runwire.api.selections import selects
from runwire.api.tick_loaders import TickKey, TickPage, TickPages, TicksById, TickSourceRecords
from runwire.api.ticks.cursors import format_tick_place, parse_tick_place
from runwire.api.ticks.instants import check_instant
from runwire.api.ticks.tick_runs import TickRuns, TickRunsKey
from runwire.control import ScheduleRecord, SensorRecord, TickSourceRecord
from runwire.snapshots import SensorKind
from runwire.ticks import Tick as TickRow
from runwire.ticks import TickSourceOrigin, TickSourceStatus, TickSourceType, TickStatus

DEFAULT_TICKS = 25
MAX_TICKS = 100
DEFAULT_NEXT = 5
MAX_NEXT = 100

_TICK_ID = re.compile("[1-9][0-9]{0,18}")

describe_enum(
    TickSourceStatus,
    "Whether a schedule or sensor makes ticks.",
    {"RUNNING": "It makes ticks.", "STOPPED": "It makes none."},
)
describe_enum(
    SensorKind,
    "What a sensor watches.",
    {
        "STANDARD": "Whatever its function looks at.",
        "RUN_STATUS": "Run status events.",
        "ASSET": "Materializations of an asset.",
    },
)
describe_enum(
    TickStatus,
    "How a tick ended.",
    {
        "STARTED": "It is being evaluated.",
        "SKIPPED": "It ended and requested no run.",
        "SUCCESS": "It ended and its runs are submitted.",
        "FAILURE": "It failed.",
    },
)


async def find_schedule(context: ApiContext, key: list[str]) -> TickSourceRecord | None:
    """The schedule of a global id."""
    return await _find_source(context, TickSourceType.SCHEDULE, key)


async def find_sensor(context: ApiContext, key: list[str]) -> TickSourceRecord | None:
    """The sensor of a global id."""
    return await _find_source(context, TickSourceType.SENSOR, key)


async def _find_source(
    context: ApiContext, source_type: TickSourceType, key: list[str]
) -> TickSourceRecord | None:
    location_name, repository_name, name = key
    origin = TickSourceOrigin(
        source_type=source_type,
        location_name=location_name,
        repository_name=repository_name,
        name=name,
    )
    return await context.loader(TickSourceRecords).find(origin.source_id)


async def find_tick(context: ApiContext, key: list[str]) -> TickRow | None:
    """The tick of a global id."""
    (tick_id,) = key
    if not _TICK_ID.fullmatch(tick_id):
        return None
    return await context.loader(TicksById).find(int(tick_id))


def _jobs(record: TickSourceRecord) -> list[JobRow]:
    location, repository = record.location, record.repository
    if location is None or repository is None:
        return []
    return [JobRow(location, repository, job) for job in record.jobs]


async def _ticks(
    root: strawberry.Parent[TickSourceRecord],
    info: ApiInfo,
    statuses: Annotated[
        list[TickStatus] | None,
        strawberry.argument(description="Only ticks in one of these statuses."),
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many ticks, from the newest on.")
    ] = DEFAULT_TICKS,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the tick before the first one wanted."),
    ] = UNSET,
) -> TickPage:
    wanted, cursor, source_id = given(statuses), given(after), root.origin.source_id
    key = TickKey(
        source_id,
        None if wanted is None else frozenset(wanted),
        check_limit("first", DEFAULT_TICKS if first is None else first, MAX_TICKS),
        None if cursor is None else parse_tick_place(cursor, source_id),
    )
    return await info.context.loader(TickPages).load(key)


@strawberry.interface(description="A schedule or a sensor: what makes ticks, which request runs.")
class TickSource(Node):
    """A schedule or a sensor."""

    id: ID = field("The global id of the schedule or sensor.")
    name: str = field(
        "The name of the schedule or sensor, unique in its repository.",
        lambda record: record.origin.name,
    )
    repository_name: str = field(
        "The name of the repository that defines it.", lambda record: record.origin.repository_name
    )
    location_name: str = field(
        "The name of the code location that serves it.", lambda record: record.origin.location_name
    )
    code_location: CodeLocation | None = field(
        "The code location that serves it; null when the workspace no longer has it.",
        lambda record: record.location,
    )
    description: str | None = field("What it is for, in its author's words.")
    status: TickSourceStatus = field("Whether it makes ticks now.")
    default_status: TickSourceStatus = field(
        "The status that its definition asks for until someone starts or stops it."
    )
    running_since: DateTime | None = field("When it was last started; null while stopped.")
    jobs: list[Job] = field(
        "The jobs whose runs it may request; empty while its code location is not loaded.", _jobs
    )
    ticks: TickConnection | None = resolved(
        _ticks,
        "Its ticks, newest first; null when they cannot be read.",
        type=later("TickConnection", __name__) | None,
    )


def _next_ticks(
    root: strawberry.Parent[ScheduleRecord],
    first: Annotated[
        int | None, strawberry.argument(description="How many instants, at most 100.")
    ] = DEFAULT_NEXT,
    after: Annotated[
        DateTime | None,
        strawberry.argument(description="The instant after which to count; now when left out."),
    ] = UNSET,
) -> list[DateTime]:
    limit = check_limit("first", DEFAULT_NEXT if first is None else first, MAX_NEXT)
    begin = check_instant(given(after), "after")
    return (
        [] if root.cron is None else [DateTime(due) for due in root.cron.next_after(begin, limit)]
    )


@view(ScheduleRecord, "Requests runs by the clock.")
class Schedule(TickSource):
    """Requests runs by the clock."""

    id: ID = field(
        "The global id of the schedule.",
        lambda record: global_id(
            "Schedule",
            record.origin.location_name,
            record.origin.repository_name,
            record.origin.name,
        ),
    )
    name: str = field(
        "The name of the schedule, unique in its repository.", lambda record: record.origin.name
    )
    cron_schedule: str = field(
        "Its cron line, such as `0 6 * * 1-5`; empty while its definition is not loaded.",
        lambda record: record.snapshot.cron_schedule if record.snapshot else "",
    )
    timezone: str = field(
        "The time zone of its cron line, such as `Europe/Berlin`; empty while its definition is not loaded.",
        lambda record: record.snapshot.timezone if record.snapshot else "",
    )
    next_ticks: list[DateTime] = resolved(
        _next_ticks, "When it is due next, whether it runs or not; by its cron line alone."
    )


@view(SensorRecord, "Requests runs when its function sees cause.")
class Sensor(TickSource):
    """Requests runs when its function sees cause."""

    id: ID = field(
        "The global id of the sensor.",
        lambda record: global_id(
            "Sensor",
            record.origin.location_name,
            record.origin.repository_name,
            record.origin.name,
        ),
    )
    name: str = field(
        "The name of the sensor, unique in its repository.", lambda record: record.origin.name
    )
    kind: SensorKind | None = field(
        "What its function watches; null while its definition is not loaded.",
        lambda record: record.snapshot.kind if record.snapshot else None,
    )
    minimum_interval_seconds: int | None = field(
        "The least time between two ticks, in seconds, 0 for one that watches events; null while its definition is"
        " not loaded.",
        lambda record: record.snapshot.minimum_interval_seconds if record.snapshot else None,
    )
    cursor: str | None = field(
        "What its function goes on from; null before its first. Of one that watches events, the place in the log of"
        " these."
    )
    next_tick_at: DateTime | None = field(
        "When it is due next; null while stopped or not loaded, and for one that watches events."
    )


async def _source(root: strawberry.Parent[TickRow], info: ApiInfo) -> TickSourceRecord | None:
    return await info.context.loader(TickSourceRecords).find(root.source_id)


async def _runs(
    root: strawberry.Parent[TickRow],
    info: ApiInfo,
    first: Annotated[int | None, strawberry.argument(description="How many runs.")] = DEFAULT_RUNS,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the run before the first one wanted."),
    ] = UNSET,
) -> RunPage:
    window = Window.of(first, given(after), None, None, default=DEFAULT_RUNS, maximum=MAX_RUNS)
    key = TickRunsKey(root.run_ids, window, selects(info, "headCursor"))
    return await info.context.loader(TickRuns).load(key)


@view(TickRow, "One evaluation of a schedule or sensor.")
class Tick(Node):
    """One evaluation of a schedule or sensor."""

    id: ID = field("The global id of the tick.", lambda tick: global_id("Tick", str(tick.tick_id)))
    status: TickStatus = field("How the tick ended, or that it runs.")
    source: TickSource | None = resolved(
        _source, "The schedule or sensor; null when it is gone.", type=TickSource | None
    )
    due_at: DateTime = field("When a schedule was due; for a sensor, when the evaluation began.")
    started_at: DateTime = field("When the evaluation began.")
    ended_at: DateTime | None = field("When it ended; null before.")
    runs: Any = resolved(
        _runs,
        "The runs that it requested, oldest first; none before it has ended.",
        type=later("RunConnection", "runwire.api.runs.pages"),
    )
    run_keys: list[str] = field(
        "The run keys that it requested, those that had a run already included."
    )
    skip_reason: str | None = field("Why it requested no run; null unless SKIPPED with a reason.")
    error: ErrorInfo | None = field("Why it failed; null unless FAILURE.")
    cursor: str | None = field("The cursor that a sensor stored with it; null for a schedule.")
    attempts: int = field("How often it was tried.")


@view(TickRow, "A tick in a page.")
class TickEdge:
    """A tick in a page; its row is the tick."""

    cursor: str = field("The cursor of the tick.", format_tick_place)
    node: Tick = field("The tick.", lambda tick: tick)


def _page_info(page: TickPage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.key.after is not None,
        start_cursor=format_tick_place(page.ticks[0]) if page.ticks else None,
        end_cursor=format_tick_place(page.ticks[-1]) if page.ticks else None,
    )


@view(TickPage, "A page of ticks.")
class TickConnection:
    """A page of ticks."""

    edges: list[TickEdge] = field(
        "The ticks of the page with their cursors.", lambda page: page.ticks
    )
    nodes: list[Tick] = field("The ticks of the page.", lambda page: page.ticks)
    page_info: PageInfo = field("Where the page lies.", _page_info)
