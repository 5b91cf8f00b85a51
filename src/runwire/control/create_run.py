"""Making a run: its job is found, its config checked, its plan made and kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from runwire import clock
from runwire.control.code_location import loaded_location
from runwire.control.new_run import NewRun
from runwire.errors import InputInvalidError, JobNotFoundError
from runwire.runs.run import Run, RunRecord, new_run_id
from runwire.runs.tags import merged
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import JobRef, Workspace


def create_run(
    storage: InstanceStorage, workspace: Workspace, new_run: NewRun
) -> tuple[RunRecord, bool]:
    """Makes a run in NOT_STARTED, or in MANAGED for an external system.

    Returns:
        The run, and whether this call made it (False when its idempotency key had it already).

    Raises:
        InputInvalidError: a value is refused; its path is relative to the request.
        JobNotFoundError, JobAmbiguousError: the job is not one loaded job.
        CodeLocationUnavailableError: its code location is not loaded or does not answer.
        RunConfigInvalidError: the run config does not fit the job.
        RunAlreadyExistsError: the run id, or the idempotency key with another input, is taken.
    """
    new_run.check()
    config = _plain(new_run.run_config or {})
    run = (
        _managed(new_run, config)
        if new_run.managed
        else _planned(storage, workspace, new_run, config)
    )
    return storage.run_storage.add_run(
        run, created_at=clock.timestamp(), request=new_run.request_key()
    )


def _managed(new_run: NewRun, config: dict[str, Any]) -> Run:
    return Run(
        run_id=new_run.run_id or new_run_id(),
        job_name=new_run.job.job_name,
        repository_name=new_run.job.repository_name,
        location_name=new_run.job.location_name,
        run_config=config,
        tags=new_run.checked_tags(),
        managed=True,
        requested_by=new_run.requested_by,
    )


def _planned(
    storage: InstanceStorage, workspace: Workspace, new_run: NewRun, config: dict[str, Any]
) -> Run:
    ref = _find_job(workspace, new_run)
    location = loaded_location(workspace, ref.location_name)
    plan = location.plan_run(ref.repository_name, ref.job.name, config, new_run.step_keys)
    return Run(
        run_id=new_run.run_id or new_run_id(),
        job_name=ref.job.name,
        repository_name=ref.repository_name,
        location_name=ref.location_name,
        run_config=config,
        tags=merged(ref.job.tags, new_run.checked_tags()),
        step_keys=None if new_run.step_keys is None else tuple(new_run.step_keys),
        plan_snapshot_id=storage.run_storage.add_snapshot(plan),
        job_snapshot_id=storage.run_storage.add_snapshot(ref.job),
        steps_planned=len(plan.steps),
        requested_by=new_run.requested_by,
    )


def _find_job(workspace: Workspace, new_run: NewRun) -> JobRef:
    """The job. A location that may have it but is not loaded is a better answer than a job not found."""
    name = new_run.job.location_name
    with suppress(JobNotFoundError):
        return workspace.find_job(new_run.job)
    for location in workspace.list_locations():
        if name in {None, location.state.name}:
            loaded_location(workspace, location.state.name)
    return workspace.find_job(new_run.job)  # in one that was only being loaded


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return msgspec.json.decode(msgspec.json.encode(dict(config)), type=dict[str, Any])
    except (TypeError, UnicodeError, msgspec.MsgspecError, RecursionError) as error:
        raise InputInvalidError(
            f"the run config is not storable JSON: {error}", ["runConfig"]
        ) from None
