"""Submitting a run: the coordinator decides when it is launched."""

from __future__ import annotations

from collections.abc import Callable

from runwire.control.code_location import location_of_run
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.errors import RunStateConflictError
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, RunAction
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import Workspace


def submit_run(
    storage: InstanceStorage,
    coordinator: RunCoordinator,
    workspace: Workspace,
    run_id: str,
    launch: Callable[[], RunRecord],
) -> RunRecord:
    """Hands a run to the coordinator, and returns the run as it is then.

    Raises:
        RunNotFoundError, JobNotFoundError, CodeLocationUnavailableError: nothing was changed.
        RunStateConflictError: the run is not NOT_STARTED; nothing was changed.
        LaunchFailedError: as the launch that the coordinator may have asked for.
    """
    record = storage.get_run_record(run_id)
    allowed = ALLOWED_STATUSES[RunAction.SUBMIT]
    if record.status not in allowed:
        raise RunStateConflictError(run_id, record.status.value, [s.value for s in allowed])
    location_of_run(workspace, record)
    return coordinator.submit_run(SubmitRunContext(record, launch))
