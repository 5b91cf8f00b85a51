"""Submitting a run: the coordinator decides when it is launched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from runwire.control.code_location import location_of_run
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.errors import RunStateConflictError
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
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
    enqueue = partial(_enqueue, storage, run_id)
    return coordinator.submit_run(SubmitRunContext(record, launch, enqueue))


def _enqueue(storage: InstanceStorage, run_id: str) -> RunRecord:
    """Puts a run into the queue, by one compare-and-set; the run as it is then."""
    entry = EventLogEntry(
        run_id=run_id, event_type=EventType.RUN_ENQUEUED, message="The run waits in the queue."
    )
    storage.store_events(run_id, [entry], require=ALLOWED_STATUSES[RunAction.SUBMIT])
    return storage.get_run_record(run_id)
