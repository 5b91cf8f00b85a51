"""Deleting a run with all that it left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from runwire import clock
from runwire.control.terminate_run import TerminatePolicy, terminate_run
from runwire.control.worker_health import try_to_stop
from runwire.errors import RunStateConflictError, StorageDamagedError
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, RunAction, RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import Workspace

LINGERING_SECONDS = 60.0
"""For how long after its end a run may have a worker that is still on its way out, or does not stop."""


def delete_run(
    storage: InstanceStorage,
    launcher: RunLauncher,
    workspace: Workspace,
    instance_ref: Mapping[str, Any],
    run_id: str,
    *,
    force: bool,
    delete_files: Callable[[str], None],
    require: Collection[RunStatus] = ALLOWED_STATUSES[RunAction.DELETE],
) -> RunRecord:
    """Deletes a run with its event log and its files; a tombstone stays in the instance-wide log.

    A worker of it that may still live is killed first, so that it leaves no files behind.

    Args:
        storage: keeps the run.
        launcher: can stop its worker.
        workspace: the code locations.
        instance_ref: how its worker opens the instance: `InstanceRef.to_dict()`.
        run_id: the run.
        force: whether to cancel it first if it has not ended.
        delete_files: deletes what steps of the run stored.
        require: the statuses in which this may happen without `force`.

    Returns:
        The run as it was.

    Raises:
        RunNotFoundError: there is no such run.
        RunStateConflictError: the run is in none of the required statuses, and `force` is false; nothing was
            changed.
    """
    allowed = frozenset(require)
    record = storage.get_run_record(run_id)
    if force and record.status not in allowed:
        policy = TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY
        try:
            with suppress(RunStateConflictError):  # it ended meanwhile
                terminate_run(storage, launcher, workspace, instance_ref, run_id, policy)
        except StorageDamagedError:  # its log cannot take the event, and goes all the same
            allowed = frozenset(RunStatus)
        record = storage.get_run_record(run_id)
    if record.status in allowed and _may_have_worker(record):
        try_to_stop(launcher, LaunchRunContext(record, workspace, instance_ref), force=True)
    storage.delete_run(run_id, require=allowed)
    delete_files(run_id)
    return record


def _may_have_worker(record: RunRecord) -> bool:
    if record.worker_epoch == 0:
        return False
    return record.ended_at is None or clock.timestamp() - record.ended_at < LINGERING_SECONDS
