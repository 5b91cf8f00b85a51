"""The run's regular writer: order, groups, durability, refusals, outages."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from runwire.errors import (
    RunFinishedError,
    RunNotFoundError,
    StaleWorkerError,
    StorageUnavailableError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import EngineEventData
from runwire.events.types import EventType, LogLevel
from runwire.execution import event_writer
from runwire.execution.event_writer import EventWriter
from runwire.runs.run import RunRecord
from tests.execution.runs import (
    GENEROUS_SECONDS,
    ScriptedStorage,
    events,
    launched_run,
    tell,
)


@pytest.fixture
def storage() -> Iterator[ScriptedStorage]:
    made = ScriptedStorage()
    yield made
    made.dispose()


@pytest.fixture
def record(storage: ScriptedStorage) -> RunRecord:
    made = launched_run(storage)
    storage.batches.clear()
    return made


@pytest.fixture
def writer(storage: ScriptedStorage, record: RunRecord) -> Iterator[EventWriter]:
    with EventWriter(storage, record, 1) as made:
        yield made


@pytest.fixture
def slow_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only full groups, durable entries and flushes are stored."""
    monkeypatch.setattr(event_writer, "GROUP_SECONDS", GENEROUS_SECONDS * 10)


def line(text: str) -> EventLogEntry:
    return EventLogEntry(run_id="r", message=text, step_key="load")


def event(event_type: EventType) -> EventLogEntry:
    return EventLogEntry(run_id="r", message=event_type.value, event_type=event_type)


def messages(storage: ScriptedStorage) -> list[str]:
    return [record.message for record in events(storage)[1:]]


@pytest.mark.usefixtures("slow_groups")
def test_a_durable_entry_is_stored_with_all_before_it_in_one_call(
    storage: ScriptedStorage, writer: EventWriter
) -> None:
    assert writer.write(line("one")) is None
    assert writer.write(event(EventType.STEP_SKIPPED)) is None
    assert storage.batches == []
    stored = writer.write(event(EventType.STEP_START))
    assert storage.batches == [["one", "STEP_SKIPPED", "STEP_START"]]
    assert stored is not None
    assert (stored.position, stored.event_type, stored.epoch) == (4, EventType.STEP_START, 1)


@pytest.mark.usefixtures("slow_groups")
def test_a_durable_entry_may_be_stored_with_the_next(
    storage: ScriptedStorage, writer: EventWriter
) -> None:
    assert writer.write(event(EventType.STEP_FAILURE), with_next=True) is None
    assert storage.batches == []
    assert writer.write(event(EventType.STEP_START)) is not None
    assert storage.batches == [["STEP_FAILURE", "STEP_START"]]
    writer.write(event(EventType.STEP_FAILURE), with_next=True)
    writer.flush()
    assert storage.batches[1:] == [["STEP_FAILURE"]]


def test_other_entries_are_stored_soon_by_themselves(
    storage: ScriptedStorage, record: RunRecord, writer: EventWriter
) -> None:
    arrived = threading.Event()
    storage.event_log_storage.watch(record, 1, lambda _: arrived.set())
    writer.write(line("alone"))
    assert arrived.wait(GENEROUS_SECONDS)
    assert storage.batches == [["alone"]]


@pytest.mark.usefixtures("slow_groups")
def test_a_full_group_is_stored_before_its_time(
    storage: ScriptedStorage, record: RunRecord, writer: EventWriter
) -> None:
    arrived = threading.Event()
    storage.event_log_storage.watch(
        record, 1, lambda stored: arrived.set() if stored.position == 101 else None
    )
    for number in range(100):
        writer.write(line(str(number)))
    assert arrived.wait(GENEROUS_SECONDS)
    assert messages(storage) == [str(number) for number in range(100)]


@pytest.mark.usefixtures("slow_groups")
def test_flush_stores_what_was_written(storage: ScriptedStorage, writer: EventWriter) -> None:
    writer.write(line("one"))
    writer.flush()
    assert storage.batches == [["one"]]
    writer.flush()
    assert storage.batches == [["one"]]


@pytest.mark.usefixtures("slow_groups")
def test_close_stores_what_was_written_and_may_be_called_twice(
    storage: ScriptedStorage, record: RunRecord
) -> None:
    writer = EventWriter(storage, record, 1)
    writer.write(line("last words"))
    writer.close()
    writer.close()
    assert storage.batches == [["last words"]]


def test_the_lines_of_each_of_many_threads_keep_their_order(
    storage: ScriptedStorage, writer: EventWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_writer, "MAX_BUFFERED", 50)

    def write(name: str) -> None:
        for number in range(200):
            writer.write(line(f"{name} {number}"))
            if number % 50 == 0:
                writer.write(event(EventType.STEP_START))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GENEROUS_SECONDS)
    writer.flush()
    written = messages(storage)
    for name in "abcd":
        mine = [message for message in written if message.startswith(f"{name} ")]
        assert mine == [f"{name} {number}" for number in range(200)]
    assert len(written) == 4 * 204


@pytest.mark.usefixtures("slow_groups")
def test_a_writer_that_is_too_fast_waits_for_the_storage(
    storage: ScriptedStorage, writer: EventWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_writer, "MAX_BUFFERED", 3)
    waits, wait = threading.Event(), writer._drained.wait

    def telling_wait() -> bool:
        waits.set()
        return wait()

    monkeypatch.setattr(writer._drained, "wait", telling_wait)

    def write() -> None:
        for number in range(4):
            writer.write(line(str(number)))

    thread = threading.Thread(target=write)
    thread.start()
    assert waits.wait(GENEROUS_SECONDS)
    assert storage.batches == []
    writer.flush()
    thread.join(GENEROUS_SECONDS)
    assert not thread.is_alive()
    writer.flush()
    assert storage.batches == [["0", "1", "2"], ["3"]]


@pytest.mark.usefixtures("slow_groups")
def test_a_stale_worker_loses_what_is_buffered_and_is_told_at_every_write(
    storage: ScriptedStorage, writer: EventWriter
) -> None:
    tell(storage, "r", EventType.RUN_WORKER_LOST, handover=True)
    storage.batches.clear()
    writer.write(line("buffered"))
    with pytest.raises(StaleWorkerError) as first:
        writer.write(event(EventType.STEP_START))
    for entry in (line("more"), event(EventType.STEP_SKIPPED), event(EventType.STEP_SUCCESS)):
        with pytest.raises(StaleWorkerError) as again:
            writer.write(entry)
        assert again.value is first.value
    writer.close()
    assert storage.batches == []


def test_what_the_background_learns_the_next_caller_is_told(
    storage: ScriptedStorage, writer: EventWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(storage, "r", EventType.RUN_CANCELED)
    refused = threading.Event()
    refuse = writer._refuse

    def telling_refuse(error: Exception) -> None:
        refuse(error)
        refused.set()

    monkeypatch.setattr(writer, "_refuse", telling_refuse)
    writer.write(line("too late"))
    assert refused.wait(GENEROUS_SECONDS)
    with pytest.raises(RunFinishedError):
        writer.write(line("still too late"))


def test_the_writer_of_a_deleted_run_is_told(storage: ScriptedStorage, writer: EventWriter) -> None:
    storage.delete_run("r")
    with pytest.raises(RunNotFoundError):
        writer.write(event(EventType.RUN_START))


@pytest.mark.usefixtures("slow_groups")
def test_nothing_follows_the_event_that_ends_the_run(
    storage: ScriptedStorage, writer: EventWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    writer.write(event(EventType.RUN_START))
    writer.write(line("before"))
    writer.write(event(EventType.RUN_SUCCESS))
    writer.write(line("after"))
    for event_type in (EventType.STEP_SKIPPED, EventType.STEP_START, EventType.RUN_FAILURE):
        with pytest.raises(RunFinishedError):
            writer.write(event(event_type))
    writer.close()
    assert messages(storage) == ["RUN_START", "before", "RUN_SUCCESS"]
    assert "load: after (not in the log: the run has ended)\n" in capsys.readouterr().err


def test_an_event_that_comes_too_late_is_kept_and_ends_the_writing(
    storage: ScriptedStorage, writer: EventWriter
) -> None:
    writer.write(event(EventType.RUN_START))
    tell(storage, "r", EventType.RUN_CANCELED)
    stored = writer.write(event(EventType.RUN_SUCCESS))
    assert stored is not None
    assert not stored.applied
    with pytest.raises(RunFinishedError):
        writer.write(event(EventType.RUN_FAILURE))


@pytest.mark.usefixtures("slow_groups")
def test_an_outage_fails_events_but_not_lines(
    storage: ScriptedStorage, writer: EventWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.failing = True
    writer.write(line("lost one"))
    writer.write(event(EventType.STEP_SKIPPED))
    writer.write(line("lost two"))
    with pytest.raises(StorageUnavailableError):
        writer.write(event(EventType.STEP_START))
    written = capsys.readouterr().err
    assert "INFO load: lost one (not in the log: it could not be stored)\n" in written
    assert "INFO load: lost two (not in the log: it could not be stored)\n" in written
    with pytest.raises(StorageUnavailableError):
        writer.write(event(EventType.HOOK_SKIPPED))
    writer.write(line("kept"))
    storage.failing = False
    writer.write(event(EventType.STEP_SUCCESS))
    notice = "2 log lines could not be stored; the worker's standard error has what they said."
    assert storage.batches == [[notice, "STEP_SKIPPED", "kept", "STEP_SUCCESS"]]
    told = events(storage)[1]
    assert (told.event_type, told.level) == (EventType.ENGINE_EVENT, LogLevel.WARNING)
    writer.write(event(EventType.STEP_START))
    assert storage.batches[1:] == [["STEP_START"]]


@pytest.mark.usefixtures("slow_groups")
def test_the_end_of_the_run_can_be_written_again_after_an_outage(
    storage: ScriptedStorage, writer: EventWriter
) -> None:
    writer.write(event(EventType.RUN_START))
    storage.failing = True
    with pytest.raises(StorageUnavailableError):
        writer.write(event(EventType.RUN_SUCCESS))
    storage.failing = False
    writer.write(event(EventType.RUN_SUCCESS))
    assert messages(storage) == ["RUN_START", "RUN_SUCCESS"]


@pytest.mark.usefixtures("slow_groups")
def test_lines_that_close_cannot_store_go_to_standard_error(
    storage: ScriptedStorage, record: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = EventWriter(storage, record, 1)
    writer.write(line("a line"))
    writer.write(
        EventLogEntry(
            run_id="r",
            event_type=EventType.ENGINE_EVENT,
            message="an event",
            data=EngineEventData(),
        )
    )
    storage.failing = True
    writer.close()
    written = capsys.readouterr().err
    assert "a line" in written
    assert "an event" in written
    assert messages(storage) == []


@pytest.mark.usefixtures("slow_groups")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_of_the_worker_writes_nothing_into_the_log(
    storage: ScriptedStorage, writer: EventWriter
) -> None:
    """Its lines go to standard error, its events raise, and what was buffered is stored once."""
    writer.write(line("before"))
    child = os.fork()
    if child == 0:  # what goes wrong in here is told by the exit code
        code = 1
        try:
            writer.write(line("in the fork"))
            writer.write(event(EventType.STEP_SKIPPED))
        except RuntimeError:
            writer.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.flush()
    assert messages(storage) == ["before"]
