"""Code locations and what they have loaded."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry import ID

from runwire.api.context import ApiInfo
from runwire.api.events.metadata import ErrorInfo
from runwire.api.loaders import JobRow, RepositoryRow, jobs_of, repositories_of
from runwire.api.locations.graph import OpNode, PlanStep
from runwire.api.nodes import Node, global_id
from runwire.api.paging import check_limit
from runwire.api.partitions.pages import read_partitions
from runwire.api.rows import describe_enum, field, later, list_of, resolved, view
from runwire.api.scalars import JSON, DateTime
from runwire.api.tags import Tag, tags_of
from runwire.api.tick_loaders import read_tick_sources
from runwire.runs.filters import RunOrder, RunPlace, RunsFilter
from runwire.runs.run import RunRecord
from runwire.snapshots import CodeServerInfo
from runwire.storage import RunStorage
from runwire.workspace import CodeLocationState, CodeLocationStatus

RECENT_RUNS = 5
MAX_RECENT_RUNS = 25

describe_enum(
    CodeLocationStatus,
    "Whether the definitions of a code location can be used.",
    {
        "LOADING": "It is being loaded.",
        "LOADED": "It is loaded.",
        "FAILED": "Its code raised while being loaded.",
        "UNREACHABLE": "Its server does not answer.",
    },
)


@view(CodeServerInfo, "The process that serves a code location.")
class CodeServer:
    """The process that serves a code location."""

    server_id: ID = field("The id of the process, new with each start.")
    address: str = field("Where it listens.")
    python_version: str = field("The version of Python that it runs.")
    executable_path: str = field("The path of the Python that it runs.")
    version: str = field("The version of runwire that it runs.")
    started_at: DateTime = field("When it began.")


async def _recent_runs(
    root: strawberry.Parent[JobRow],
    info: ApiInfo,
    first: Annotated[
        int | None, strawberry.argument(description="How many runs, at most 25.")
    ] = RECENT_RUNS,
) -> list[RunRecord]:
    limit = check_limit("first", RECENT_RUNS if first is None else first, MAX_RECENT_RUNS)
    return await info.context.lanes.read(_newest_runs, info.context.run_storage, root, limit)


def _newest_runs(storage: RunStorage, row: JobRow, limit: int) -> list[RunRecord]:
    """The newest runs of a job; those of its namesakes in other repositories are passed over."""
    wanted = RunsFilter(job_names=frozenset({row.job.name}), location_name=row.location.name)
    found: list[RunRecord] = []
    place: RunPlace | None = None
    while len(found) < limit:
        page = storage.get_run_records(wanted, after=place, limit=MAX_RECENT_RUNS)
        found += [run for run in page.records if run.run.repository_name == row.repository.name]
        if not page.has_more:
            break
        place = RunPlace.of(page.records[-1], RunOrder())
    return found[:limit]


@view(JobRow, "A job as it is loaded now.")
class Job(Node):
    """A job as it is loaded now."""

    id: ID = field(
        "The global id of the job.",
        lambda row: global_id("Job", row.location.name, row.repository.name, row.job.name),
    )
    name: str = field("The name of the job, unique in its repository.", lambda row: row.job.name)
    description: str | None = field(
        "What it is for, in its author's words.", lambda row: row.job.description
    )
    repository: Repository = field(
        "The repository that defines it.",
        lambda row: RepositoryRow(row.location, row.repository),
    )
    tags: list[Tag] = field("The tags that its runs get.", lambda row: tags_of(row.job.tags))
    run_config_schema: JSON = field(
        "The JSON Schema of its run config.", lambda row: row.job.run_config_schema
    )
    default_run_config: JSON = field(
        "A run config to start from: defaults filled in, required values as null.",
        lambda row: row.job.default_run_config,
    )
    graph: list[OpNode] = field(
        "Its ops and graphs, outer before inner, sources before what they feed.",
        lambda row: row.job.graph,
    )
    plan: list[PlanStep] | None = field(
        "The steps that a run would have, by level and key; null when its code location cannot be reached.",
        lambda row: row.job.plan.steps,
    )
    partitions: Any = resolved(
        read_partitions,
        "Its partitions that exist now, in order; null when it has none.",
        type=later("PartitionConnection", "runwire.api.partitions.types") | None,
    )
    tick_sources: Any = resolved(
        read_tick_sources,
        "The schedules and sensors that may request its runs, by name.",
        type=list_of(later("TickSource", "runwire.api.ticks.types")),
    )
    recent_runs: Any = resolved(
        _recent_runs, "Its newest runs.", type=list_of(later("Run", "runwire.api.runs.types"))
    )


@view(RepositoryRow, "A named set of definitions in a code location.")
class Repository(Node):
    """A named set of definitions in a code location."""

    id: ID = field(
        "The global id of the repository.",
        lambda row: global_id("Repository", row.location.name, row.repository.name),
    )
    name: str = field("The name of the repository.", lambda row: row.repository.name)
    code_location: CodeLocation = field(
        "The code location that it is in.", lambda row: row.location
    )
    jobs: list[Job] = field("Its jobs, by name.", jobs_of)


@view(CodeLocationState, "A process that serves user code to the instance.")
class CodeLocation(Node):
    """A process that serves user code to the instance."""

    id: ID = field(
        "The global id of the code location.", lambda state: global_id("CodeLocation", state.name)
    )
    name: str = field("The name of the code location in the workspace.")
    status: CodeLocationStatus = field("Whether its definitions can be used.")
    load_error: ErrorInfo | None = field("Why it did not load; null unless FAILED or UNREACHABLE.")
    updated_at: DateTime = field("When its status last changed.")
    server: CodeServer | None = field("The process that serves it; null when none does.")
    repositories: list[Repository] = field(
        "Its repositories as last loaded, by name.", repositories_of
    )
