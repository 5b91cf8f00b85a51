"""What a run was made from."""

from __future__ import annotations

from strawberry import ID

from runwire.api.backfill_loaders import BackfillsById
from runwire.api.context import ApiContext
from runwire.api.loaders import JobKey, JobRow, LoadedJobs
from runwire.api.locations.types import Job
from runwire.api.nodes import Node, global_id
from runwire.api.rows import field, later, loaded, view
from runwire.runs.run import Run as OriginRow
from runwire.runs.tags import BACKFILL_TAG, PARTITION_TAG
from runwire.storage import Backfill


async def _job(run: OriginRow, context: ApiContext) -> JobRow | None:
    if run.location_name is None or run.repository_name is None:
        return None
    return await context.loader(LoadedJobs).find_job(
        JobKey(run.location_name, run.repository_name, run.job_name)
    )


async def _backfill(run: OriginRow, context: ApiContext) -> Backfill | None:
    backfill_id = run.tags.get(BACKFILL_TAG)
    return None if backfill_id is None else await context.loader(BackfillsById).find(backfill_id)


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
    partition_key: str | None = field(
        "The key of its partition; null when it is of none.",
        lambda run: run.tags.get(PARTITION_TAG),
    )
    backfill: object = loaded(
        _backfill,
        "The backfill that asked for it; null when none did, or it is gone.",
        type=later("Backfill", "runwire.api.backfills.types") | None,
    )
    requested_by: str | None = field(
        "The name of the principal that asked for it; null when the system did."
    )
