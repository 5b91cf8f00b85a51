"""Reporting into MANAGED runs: all or none, once per key, nothing that is not theirs to say."""

import pytest

from runwire.control import NewRun, create_run, report_events
from runwire.control.report_events import MAX_EVENTS, NOT_REPORTABLE
from runwire.errors import InputInvalidError, RunNotFoundError, RunStateConflictError
from runwire.events import EventLogEntry, EventType
from runwire.events.payloads import (
    AssetEventData,
    HandledOutputData,
    LoadedInputData,
    LogsCapturedData,
    Payload,
    StepInputData,
    StepOutputData,
)
from runwire.runs import RunRecord, RunStatus
from runwire.storages.memory import MemoryStorage
from runwire.workspace import JobSelector, Workspace


@pytest.fixture
def managed(storage: MemoryStorage, workspace: Workspace) -> RunRecord:
    new_run = NewRun(job=JobSelector("backup"), managed=True, run_id="m")
    return create_run(storage, workspace, new_run)[0]


def entry(
    message: str, event_type: EventType | None = None, step_key: str | None = None
) -> EventLogEntry:
    return EventLogEntry(run_id="m", message=message, event_type=event_type, step_key=step_key)


def messages(storage: MemoryStorage) -> list[str]:
    page = storage.event_log_storage.get_records(storage.get_run_record("m"))
    return [record.message for record in page.records]


def test_a_report_is_stored_in_order_and_ends_the_run(
    storage: MemoryStorage, managed: RunRecord
) -> None:
    asset = EventLogEntry(
        run_id="m",
        message="made",
        event_type=EventType.ASSET_MATERIALIZATION,
        data=AssetEventData(("dump",)),
    )
    records = report_events(
        storage,
        "m",
        [
            entry("go", EventType.RUN_START),
            entry("line"),
            asset,
            entry("ok", EventType.RUN_SUCCESS),
        ],
    )
    assert [(r.position, r.message, r.applied) for r in records] == [
        (1, "go", True),
        (2, "line", True),
        (3, "made", True),
        (4, "ok", True),
    ]
    assert storage.get_run_record("m").status is RunStatus.SUCCESS


def test_a_repeat_with_the_same_key_stores_nothing_even_after_the_end(
    storage: MemoryStorage, managed: RunRecord
) -> None:
    events = [entry("line"), entry("ok", EventType.RUN_SUCCESS)]
    first = report_events(storage, "m", events, "key")
    again = report_events(storage, "m", events, "key")
    assert first == again
    assert messages(storage) == ["line", "ok"]
    with pytest.raises(RunStateConflictError):
        report_events(storage, "m", events, "another key")
    assert messages(storage) == ["line", "ok"]


DATA: dict[EventType, Payload] = {
    EventType.STEP_INPUT: StepInputData("i"),
    EventType.LOADED_INPUT: LoadedInputData("i", "k"),
    EventType.STEP_OUTPUT: StepOutputData("o"),
    EventType.HANDLED_OUTPUT: HandledOutputData("o", "k"),
    EventType.LOGS_CAPTURED: LogsCapturedData("k"),
}


@pytest.mark.parametrize("event_type", sorted(NOT_REPORTABLE, key=str))
def test_what_is_the_instances_own_cannot_be_reported(
    storage: MemoryStorage, managed: RunRecord, event_type: EventType
) -> None:
    bad = EventLogEntry(
        run_id="m",
        message="m",
        event_type=event_type,
        step_key="s",
        data=DATA.get(event_type),  # type: ignore[arg-type]
    )
    with pytest.raises(InputInvalidError) as refused:
        report_events(storage, "m", [entry("fine"), bad])
    assert refused.value.path == ("events", "1", "eventType")
    assert messages(storage) == []


@pytest.mark.parametrize(
    ("events", "path"),
    [
        ([], ("events",)),
        ([entry("x")] * (MAX_EVENTS + 1), ("events",)),
        ([entry("x", EventType.STEP_START)], ("events", "0", "stepKey")),
        ([entry("x", None, "s" * 513)], ("events", "0", "stepKey")),
        ([entry("x", None, "")], ("events", "0", "stepKey")),
        ([entry("x"), entry("x" * 100_001)], ("events", "1", "message")),
        ([entry("x", EventType.RUN_SUCCESS), entry("after")], ("events", "1")),
    ],
)
def test_a_bad_event_refuses_the_whole_report_with_its_path(
    storage: MemoryStorage,
    managed: RunRecord,
    events: list[EventLogEntry],
    path: tuple[str, ...],
) -> None:
    with pytest.raises(InputInvalidError) as refused:
        report_events(storage, "m", events)
    assert refused.value.path == path
    assert messages(storage) == []


def test_a_run_that_is_ours_takes_no_reports(storage: MemoryStorage, workspace: Workspace) -> None:
    create_run(storage, workspace, NewRun(job=JobSelector("etl"), run_id="m"))
    with pytest.raises(RunStateConflictError) as refused:
        report_events(storage, "m", [entry("x")])
    assert refused.value.expected == ("MANAGED",)
    assert messages(storage) == []


def test_an_unknown_run_is_told(storage: MemoryStorage) -> None:
    with pytest.raises(RunNotFoundError):
        report_events(storage, "m", [entry("x")])
