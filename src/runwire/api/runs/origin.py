"""What a run was made from."""

from __future__ import annotations

import strawberry
from strawberry import ID

from runwire.api.context import ApiInfo
from runwire.api.loaders import JobKey, JobRow, LoadedJobs
from runwire.api.locations.types import Job
from runwire.api.nodes import Node, global_id
from runwire.api.rows import field, resolved, view
from runwire.runs.run import Run as OriginRow


async def _job(root: strawberry.Parent[OriginRow], info: ApiInfo) -> JobRow | None:
    if root.location_name is None or root.repository_name is None:
        return None
    return await info.context.loader(LoadedJobs).find_job(
        JobKey(root.location_name, root.repository_name, root.job_name)
    )


@view(OriginRow, "What a run was made from.")
class RunOrigin(Node):
    """What a run was made from; its row is the run as it was asked for."""

    id: ID = field("The global id of the origin.", lambda run: global_id("RunOrigin", run.run_id))
    job: Job | None = resolved(_job, "The job as it is loaded now; null when it is not.")
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
