"""Reporting events into a MANAGED run, from an external system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runwire.control.new_run import check_idempotency_key
from runwire.errors import InputInvalidError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.filters import EventFilter
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import STEP_EVENTS, TERMINAL_RUN_EVENTS, EventType
from runwire.runs.status import ALLOWED_STATUSES, RunAction
from runwire.storage.instance_storage import InstanceStorage

MAX_EVENTS = 1000
MAX_MESSAGE_CHARS = 100_000
MAX_STEP_KEY_CHARS = 512
MAX_FAILED_STEPS = 25

NOT_REPORTABLE = frozenset(
    {
        # the instance's own business
        EventType.RUN_ENQUEUED,
        EventType.RUN_DEQUEUED,
        EventType.RUN_STARTING,
        EventType.RUN_CANCELING,
        EventType.RUN_WORKER_LOST,
        # their data cannot be reported
        EventType.STEP_INPUT,
        EventType.LOADED_INPUT,
        EventType.STEP_OUTPUT,
        EventType.HANDLED_OUTPUT,
        EventType.LOGS_CAPTURED,
    }
)
"""Types that an external system cannot report."""


def report_events(
    storage: InstanceStorage,
    run_id: str,
    entries: Sequence[EventLogEntry],
    idempotency_key: str | None = None,
) -> list[EventLogRecord]:
    """Appends events to a MANAGED run, all or none.

    Returns:
        The stored records in the order of the entries; those stored first, when the key was used before.

    Raises:
        InputInvalidError: an event is refused; its path begins with ``events`` and its index.
        RunNotFoundError: there is no such run.
        RunStateConflictError: the run is not MANAGED; nothing was stored.
    """
    if not 1 <= len(entries) <= MAX_EVENTS:
        raise InputInvalidError(f"1 to {MAX_EVENTS} events go into one report", ["events"])
    check_idempotency_key(idempotency_key)
    ended = False
    for index, entry in enumerate(entries):
        _check(entry, ("events", str(index)), ended)
        ended = ended or entry.event_type in TERMINAL_RUN_EVENTS
    if any(entry.event_type is EventType.RUN_FAILURE for entry in entries):
        entries = _naming_failed_steps(storage, run_id, entries)
    return storage.store_events(
        run_id,
        entries,
        require=ALLOWED_STATUSES[RunAction.REPORT_EVENTS],
        idempotency_key=idempotency_key,
    )


def _check(entry: EventLogEntry, path: tuple[str, ...], ended: bool) -> None:
    if ended:
        raise InputInvalidError(
            "an event before this one ends the run; nothing may follow it", path
        )
    if entry.event_type in NOT_REPORTABLE:
        raise InputInvalidError(
            f"{entry.event_type.value} cannot be reported from outside", [*path, "eventType"]
        )
    if entry.event_type in STEP_EVENTS and not entry.step_key:
        raise InputInvalidError(f"{entry.event_type.value} needs a step key", [*path, "stepKey"])
    if entry.step_key is not None and not 1 <= len(entry.step_key) <= MAX_STEP_KEY_CHARS:
        raise InputInvalidError(
            f"a step key has 1 to {MAX_STEP_KEY_CHARS} characters", [*path, "stepKey"]
        )
    if len(entry.message) > MAX_MESSAGE_CHARS:
        raise InputInvalidError(
            f"a message has at most {MAX_MESSAGE_CHARS} characters", [*path, "message"]
        )


def _naming_failed_steps(
    storage: InstanceStorage, run_id: str, entries: Sequence[EventLogEntry]
) -> list[EventLogEntry]:
    """The entries with a RUN_FAILURE naming the steps that failed, in the log and before it."""
    wanted = EventFilter(event_types=frozenset({EventType.STEP_FAILURE}))
    stored = storage.event_log_storage.get_records(storage.get_run_record(run_id), filter=wanted)
    reported = [e.step_key for e in entries if e.event_type is EventType.STEP_FAILURE]
    failed = [*(record.step_key for record in stored.records), *reported]
    keys = tuple(dict.fromkeys(key for key in failed if key is not None))
    data = RunFailureData(RunFailureReason.REPORTED, keys[:MAX_FAILED_STEPS])
    return [
        replace(entry, data=data) if entry.event_type is EventType.RUN_FAILURE else entry
        for entry in entries
    ]
