"""The table of statuses, and the fold that follows it."""

from dataclasses import replace

import pytest

from runwire.events import EventLogRecord, EventType, LogLevel
from runwire.events.types import RUN_EVENTS, TERMINAL_RUN_EVENTS
from runwire.runs import Run, RunRecord, RunStatus, project, status_after
from runwire.runs.status import (
    ALLOWED_STATUSES,
    TERMINAL_STATUSES,
    TRANSITIONS,
    RunAction,
    actions_in,
)


def record(status: RunStatus) -> RunRecord:
    return RunRecord(
        storage_id=1,
        run=Run(run_id="r", job_name="j"),
        status=status,
        log_id="log",
        created_at=1.0,
        updated_at=1.0,
    )


def event(event_type: EventType, position: int = 1, **changes: object) -> EventLogRecord:
    made = EventLogRecord(
        run_id="r",
        position=position,
        timestamp=position + 10.0,
        level=LogLevel.INFO,
        stored_type=event_type.value,
        message="m",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_terminal_statuses_absorb_every_event() -> None:
    assert all(
        status_after(status, event_type) is None
        for status in TERMINAL_STATUSES
        for event_type in EventType
    )


def test_only_run_events_are_in_the_table() -> None:
    assert {event_type for _, event_type in TRANSITIONS} == RUN_EVENTS


def test_every_unfinished_status_can_fail_and_be_canceled() -> None:
    for status in set(RunStatus) - TERMINAL_STATUSES:
        assert status_after(status, EventType.RUN_FAILURE) is RunStatus.FAILURE
        assert status_after(status, EventType.RUN_CANCELED) is RunStatus.CANCELED


def test_managed_stays_so_until_a_terminal_event() -> None:
    after = {
        t: status_after(RunStatus.MANAGED, t)
        for t in RUN_EVENTS
        if status_after(RunStatus.MANAGED, t)
    }
    assert after == {
        EventType.RUN_START: RunStatus.MANAGED,
        EventType.RUN_SUCCESS: RunStatus.SUCCESS,
        EventType.RUN_FAILURE: RunStatus.FAILURE,
        EventType.RUN_CANCELED: RunStatus.CANCELED,
    }


def test_only_terminal_events_lead_to_terminal_statuses() -> None:
    for (_, event_type), after in TRANSITIONS.items():
        assert after.is_terminal == (event_type in TERMINAL_RUN_EVENTS)


def test_actions_follow_the_status() -> None:
    assert actions_in(RunStatus.NOT_STARTED) == (
        RunAction.SUBMIT,
        RunAction.LAUNCH,
        RunAction.TERMINATE,
        RunAction.DELETE,
    )
    assert actions_in(RunStatus.MANAGED) == (RunAction.TERMINATE, RunAction.REPORT_EVENTS)
    assert actions_in(RunStatus.STARTED) == (RunAction.RESUME, RunAction.TERMINATE)
    assert actions_in(RunStatus.SUCCESS) == (RunAction.REEXECUTE, RunAction.DELETE)
    failed = (RunAction.REEXECUTE, RunAction.REEXECUTE_FROM_FAILURE, RunAction.DELETE)
    assert actions_in(RunStatus.FAILURE) == actions_in(RunStatus.CANCELED) == failed
    assert set(ALLOWED_STATUSES) == set(RunAction)


def test_the_fold_of_a_whole_life() -> None:
    now = record(RunStatus.NOT_STARTED)
    life = [
        event(EventType.RUN_ENQUEUED, 1),
        event(EventType.RUN_STARTING, 2, epoch=1),
        event(EventType.RUN_START, 3, epoch=1),
        event(EventType.RUN_WORKER_LOST, 4),
        event(EventType.RUN_SUCCESS, 9, epoch=1),
    ]
    for one in life:
        now = project(now, one)
    assert now == replace(
        record(RunStatus.SUCCESS),
        updated_at=19.0,
        enqueued_at=11.0,
        launched_at=12.0,
        started_at=13.0,
        ended_at=19.0,
        worker_epoch=1,
        applied_position=9,
    )


def test_replaying_an_event_changes_nothing() -> None:
    once = project(record(RunStatus.STARTED), event(EventType.RUN_SUCCESS, 5))
    assert project(once, event(EventType.RUN_SUCCESS, 5)) is once


def test_an_event_that_was_not_applied_only_moves_the_position() -> None:
    before = record(RunStatus.CANCELED)
    late = event(EventType.RUN_SUCCESS, 7, applied=False)
    assert project(before, late) == replace(before, applied_position=7)


def test_an_applied_event_that_cannot_apply_is_a_bug_and_says_where() -> None:
    with pytest.raises(ValueError, match="RUN_SUCCESS at position 7 of run 'r'"):
        project(record(RunStatus.CANCELED), event(EventType.RUN_SUCCESS, 7))
