"""Making a run: its job is found, its config checked, its plan made and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from runwire import clock
from runwire.control.code_location import loaded_location
from runwire.control.new_run import NewRun
from runwire.control.run_partition import check_partition, config_of_partition
from runwire.errors import InputInvalidError, JobNotFoundError, StepNotFoundError
from runwire.runs.run import Run, RunRecord, new_run_id
from runwire.runs.tags import PARTITION_TAG, merged
from runwire.snapshots import JobSnapshot
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import JobRef, JobSelector, Workspace


def create_run(
    storage: InstanceStorage,
    workspace: Workspace,
    new_run: NewRun,
    *,
    system_tags: Mapping[str, str] | None = None,
    system_key: str | None = None,
) -> tuple[RunRecord, bool]:
    """Makes a run in NOT_STARTED, or in MANAGED for an external system.

    Args:
        storage: where it is kept.
        workspace: where its job is.
        new_run: what was asked for.
        system_tags: tags over all others, which nobody but the system may set.
        system_key: an idempotency key of the system, which begins with `runwire.runs.tags.SYSTEM_PREFIX`, so that
            no key of a user is ever the same.

    Returns:
        The run, and whether this call made it (False when its idempotency key had it already).

    Raises:
        InputInvalidError: a value is refused; its path is relative to the request.
        JobNotFoundError, JobAmbiguousError: the job is not one loaded job.
        CodeLocationUnavailableError: its code location is not loaded or does not answer.
        StepNotFoundError: the job has no such steps.
        JobNotPartitionedError, PartitionNotFoundError: the job does not have the partition.
        PartitionConfigError: the job's function for the run config of the partition failed.
        RunConfigInvalidError: the run config does not fit the job.
        RunAlreadyExistsError: the run id, or the idempotency key with another input, is taken.
    """
    new_run.check()
    if new_run.run_config is not None:
        plain_config(new_run.run_config)
    request = new_run.request_key(system_key)
    if request is not None:
        # Who repeats a request is given the run, whatever has become of the job since.
        known = storage.run_storage.find_requested_run(request)
        if known is not None:
            return known, False
    run = _managed(new_run) if new_run.managed else _planned(storage, workspace, new_run)
    if system_tags:
        run = replace(run, tags=merged(run.tags, system_tags))
    return storage.run_storage.add_run(run, created_at=clock.timestamp(), request=request)


def _managed(new_run: NewRun) -> Run:
    return Run(
        run_id=new_run.run_id or new_run_id(),
        job_name=new_run.job.job_name,
        repository_name=new_run.job.repository_name,
        location_name=new_run.job.location_name,
        run_config=plain_config({} if new_run.run_config is None else new_run.run_config),
        tags=new_run.checked_tags(),
        managed=True,
        requested_by=new_run.requested_by,
    )


def _planned(storage: InstanceStorage, workspace: Workspace, new_run: NewRun) -> Run:
    given = None if new_run.run_config is None else plain_config(new_run.run_config)
    ref = find_job(workspace, new_run.job)
    if new_run.step_keys is not None:
        check_steps(ref.job, new_run.step_keys)
    key = new_run.partition_key
    if key is not None:
        check_partition(ref.job, key, clock.timestamp())
    location = loaded_location(workspace, ref.location_name)
    if given is None and key is not None:
        given = config_of_partition(location, ref, key)
    config = given or {}
    plan = location.plan_run(ref.repository_name, ref.job.name, config, new_run.step_keys)
    return Run(
        run_id=new_run.run_id or new_run_id(),
        job_name=ref.job.name,
        repository_name=ref.repository_name,
        location_name=ref.location_name,
        run_config=config,
        tags=merged(
            ref.job.tags, new_run.checked_tags(), {} if key is None else {PARTITION_TAG: key}
        ),
        step_keys=None if new_run.step_keys is None else tuple(new_run.step_keys),
        plan_snapshot_id=storage.run_storage.add_snapshot(plan),
        job_snapshot_id=storage.run_storage.add_snapshot(ref.job),
        steps_planned=len(plan.steps),
        requested_by=new_run.requested_by,
    )


def check_steps(job: JobSnapshot, step_keys: Iterable[str]) -> None:
    """Checks that a job has steps; raises StepNotFoundError with those that it lacks."""
    known = [step.step_key for step in job.plan.steps]
    unknown = sorted(set(step_keys).difference(known))
    if unknown:
        raise StepNotFoundError(job.name, unknown, known)


def find_job(workspace: Workspace, selector: JobSelector) -> JobRef:
    """The job. A location that may have it but is not loaded is a better answer than a job not found.

    Raises:
        JobNotFoundError, JobAmbiguousError: the job is not one loaded job.
        CodeLocationUnavailableError: a code location that may have it is not loaded.
    """
    name = selector.location_name
    with suppress(JobNotFoundError):
        return workspace.find_job(selector)
    for location in workspace.list_locations():
        if name in {None, location.state.name}:
            loaded_location(workspace, location.state.name)
    return workspace.find_job(selector)  # in one that was only being loaded


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run config as it is stored; raises InputInvalidError when it is not a JSON object."""
    if not isinstance(config, Mapping):
        raise InputInvalidError("a run config is a JSON object", ["runConfig"])
    try:
        return msgspec.json.decode(msgspec.json.encode(dict(config)), type=dict[str, Any])
    except (TypeError, UnicodeError, msgspec.MsgspecError, RecursionError) as error:
        raise InputInvalidError(
            f"the run config is not storable JSON: {error}", ["runConfig"]
        ) from None
