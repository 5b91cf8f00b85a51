"""Deleting a run with all that it left."""

from __future__ import annotations

from collections.abc import Callable

from runwire.control.terminate_run import TerminatePolicy, terminate_run, try_to_stop
from runwire.errors import RunStateConflictError, StorageDamagedError
from runwire.launcher import RunLauncher
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, RunAction, RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import Workspace


def delete_run(
    storage: InstanceStorage,
    launcher: RunLauncher,
    workspace: Workspace,
    run_id: str,
    *,
    force: bool,
    delete_files: Callable[[str], None],
) -> RunRecord:
    """Deletes a run with its event log and its files; a tombstone stays in the instance-wide log.

    Args:
        storage: keeps the run.
        launcher: can stop its worker.
        workspace: the code locations.
        run_id: the run.
        force: whether to cancel it first if it has not ended.
        delete_files: deletes what steps of the run stored.

    Returns:
        The run as it was.

    Raises:
        RunNotFoundError: there is no such run.
        RunStateConflictError: the run has not ended, and `force` is false; nothing was changed.
    """
    allowed = ALLOWED_STATUSES[RunAction.DELETE]
    record = storage.get_run_record(run_id)
    if force and record.status not in allowed:
        try:
            terminate_run(
                storage, launcher, workspace, run_id, TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY
            )
        except RunStateConflictError:  # it ended meanwhile
            pass
        except StorageDamagedError:  # its log cannot take the event, and goes all the same
            try_to_stop(launcher, workspace, record)
            allowed = frozenset(RunStatus)
        record = storage.get_run_record(run_id)
    storage.delete_run(run_id, require=allowed)
    delete_files(run_id)
    return record
