"""Queries of code locations and jobs."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import JobKey, JobRow, LoadedJobs, RepositoryRow
from runwire.api.locations.inputs import JobSelector
from runwire.api.locations.types import CodeLocation, Job
from runwire.api.rows import resolved
from runwire.errors import JobNotFoundError
from runwire.workspace import CodeLocationState


async def find_location(context: ApiContext, key: list[str]) -> CodeLocationState | None:
    """The code location of a global id."""
    (name,) = key
    return await context.loader(LoadedJobs).find_location(name)


async def find_repository(context: ApiContext, key: list[str]) -> RepositoryRow | None:
    """The repository of a global id."""
    location_name, name = key
    return await context.loader(LoadedJobs).find_repository(location_name, name)


async def find_job(context: ApiContext, key: list[str]) -> JobRow | None:
    """The job of a global id."""
    location_name, repository_name, name = key
    return await context.loader(LoadedJobs).find_job(JobKey(location_name, repository_name, name))


async def _code_locations(info: ApiInfo) -> list[CodeLocationState]:
    return await info.context.loader(LoadedJobs).locations()


async def _job(
    info: ApiInfo, selector: Annotated[JobSelector, strawberry.argument(description="Which job.")]
) -> JobRow | None:
    context = info.context
    try:
        found = await context.lanes.call(context.workspace.find_job, selector.to_selector())
    except JobNotFoundError:
        return None
    return await context.loader(LoadedJobs).find_job(
        JobKey(found.location_name, found.repository_name, found.job.name)
    )


@strawberry.type
class LocationQueries:
    """Queries of code locations and jobs."""

    code_locations: list[CodeLocation] = resolved(
        _code_locations, "The code locations of the workspace, loaded or not, by name."
    )
    job: Job | None = resolved(
        _job,
        "Finds a job that is loaded now; null when there is none. An ambiguous name is refused with"
        " INVALID_ARGUMENT.",
    )
