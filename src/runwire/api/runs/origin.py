"""What a run was made from."""

from __future__ import annotations

from strawberry import ID

from runwire.api.context import ApiContext
from runwire.api.loaders import JobKey, JobRow, LoadedJobs
from runwire.api.locations.types import Job
from runwire.api.nodes import Node, global_id
from runwire.api.rows import field, loaded, view
from runwire.runs.run import Run as OriginRow


async def _job(run: OriginRow, context: ApiContext) -> JobRow | None:
    if run.location_name is None or run.repository_name is None:
        return None
    return await context.loader(LoadedJobs).find_job(
        JobKey(run.location_name, run.repository_name, run.job_name)
    )


@view(OriginRow, "What a run was made from.")
class RunOrigin(Node):
    """What a run was made from; its row is the run as it was asked for."""

    id: ID = field("The global id of the origin.", lambda run: global_id("RunOrigin", run.run_id))
    job: Job | None = loaded(
        _job, "The job as it is loaded now; null when it is not.", type=Job | None
    )
    repository_name: str | None = field(
        "The name of the repository of its job; null for a job of an external system."
    )
    location_name: str | None = field(
        "The name of the code location of its job; null for a job of an external system."
    )
    step_keys: list[str] | None = field("The steps that were asked for; null for all steps.")
    requested_by: str | None = field(
        "The name of the principal that asked for it; null when the system did."
    )
