"""Runs in every status, and what their logs tell."""

from runwire.control import NewRun, create_run
from runwire.events import EventLogEntry, EventLogRecord, EventType
from runwire.runs import RunStatus
from runwire.storage import InstanceStorage
from runwire.workspace import JobSelector, Workspace

T = EventType
WAYS: dict[RunStatus, list[EventType]] = {
    RunStatus.NOT_STARTED: [],
    RunStatus.QUEUED: [T.RUN_ENQUEUED],
    RunStatus.STARTING: [T.RUN_STARTING],
    RunStatus.STARTED: [T.RUN_STARTING, T.RUN_START],
    RunStatus.CANCELING: [T.RUN_STARTING, T.RUN_START, T.RUN_CANCELING],
    RunStatus.SUCCESS: [T.RUN_STARTING, T.RUN_START, T.RUN_SUCCESS],
    RunStatus.FAILURE: [T.RUN_FAILURE],
    RunStatus.CANCELED: [T.RUN_CANCELED],
    RunStatus.MANAGED: [],
}
"""The events that lead into each status."""


def tell(
    storage: InstanceStorage, run_id: str, event_type: EventType, epoch: int | None = None
) -> EventLogRecord:
    """Stores an event; RUN_STARTING hands the run to a worker."""
    entry = EventLogEntry(run_id=run_id, event_type=event_type, message="m")
    handover = event_type is T.RUN_STARTING
    return storage.store_events(run_id, [entry], epoch=epoch, handover=handover)[0]


def run_in(storage: InstanceStorage, workspace: Workspace, status: RunStatus) -> str:
    """The id of a new run in a status."""
    new_run = NewRun(job=JobSelector("etl"), managed=status is RunStatus.MANAGED)
    record, _ = create_run(storage, workspace, new_run)
    for event_type in WAYS[status]:
        tell(storage, record.run_id, event_type)
    assert storage.get_run_record(record.run_id).status is status
    return record.run_id


def events_of(storage: InstanceStorage, run_id: str) -> list[EventLogRecord]:
    """The log of a run."""
    return storage.event_log_storage.get_records(storage.get_run_record(run_id)).records


def types_of(storage: InstanceStorage, run_id: str) -> list[EventType | None]:
    """The types of the events of a run."""
    return [event.event_type for event in events_of(storage, run_id)]
