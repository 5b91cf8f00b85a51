"""Runs that a second worker goes on with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runwire.control import FinishedSteps, finished_steps
from runwire.definitions import Failure, JobDefinition, Out, Output, job, op, resource
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import HandledOutputData, StepErrorSource, StepFailureData
from runwire.events.types import EventType
from runwire.execution import Interrupts, execute_run
from runwire.executors import InProcessExecutor
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.steps import StepStatus, fold_steps
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, launched_run, tell

E = EventType


class Killed(BaseException):
    """Stands for the death of a worker: nothing after it is done."""


class DyingStorage(MemoryStorage):
    """A storage whose worker dies as it would write an event of a type for a step; what it wrote before is there."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at: tuple[EventType, str | None] | None = None

    def store_events(self, run_id: str, entries: Any, **options: Any) -> list[EventLogRecord]:
        told = [(entry.event_type, entry.step_key) for entry in entries]
        if self.dies_at in told:
            super().store_events(run_id, entries[: told.index(self.dies_at)], **options)
            raise Killed
        return super().store_events(run_id, entries, **options)


@pytest.fixture
def storage() -> Iterator[DyingStorage]:
    storage = DyingStorage()
    yield storage
    storage.dispose()


@pytest.fixture
def ran() -> list[str]:
    """The ops that ran, in order."""
    return []


@pytest.fixture
def chain(ran: list[str]) -> JobDefinition:
    """A job of three ops, of which the last gives the sum."""

    @op
    def one() -> int:
        ran.append("one")
        return 1

    @op
    def two(number: int) -> int:
        ran.append("two")
        return number + 1

    @op
    def three(number: int) -> int:
        ran.append(f"three of {number}")
        return number + 1

    @job
    def chain() -> None:
        three(two(one()))

    return chain


def write(storage: MemoryStorage, *told: tuple[EventType, str, Any], epoch: int = 1) -> None:
    """Writes events of steps as a worker."""
    entries = [
        EventLogEntry(run_id="r", event_type=event_type, message="", step_key=key, data=data)
        for event_type, key, data in told
    ]
    storage.store_events("r", entries, epoch=epoch)


def output(name: str = "result") -> HandledOutputData:
    return HandledOutputData(name, "io_manager")


def lose_worker(storage: MemoryStorage) -> RunRecord:
    """Hands the run to the next worker."""
    tell(storage, "r", E.RUN_WORKER_LOST, handover=True)
    return storage.get_run_record("r")


def go_on(storage: MemoryStorage, job: JobDefinition, folder: Path) -> RunStatus:
    """Executes the run with the worker that it was handed to."""
    record = storage.get_run_record("r")
    return execute_run(
        job,
        record,
        storage,
        epoch=record.worker_epoch,
        executor=InProcessExecutor(),
        io_base_dir=folder,
        interrupts=Interrupts(),
    )


def die_at(
    storage: DyingStorage, job: JobDefinition, folder: Path, event_type: EventType, key: str | None
) -> None:
    """Executes a new run until its worker would write an event of a step; the next worker has it then."""
    launched_run(storage, job.name, steps_planned=3)
    storage.dies_at = (event_type, key)
    with pytest.raises(Killed):
        go_on(storage, job, folder)
    storage.dies_at = None
    lose_worker(storage)


def types(storage: MemoryStorage, *wanted: EventType) -> list[tuple[str | None, str | None]]:
    names = {each.value for each in wanted}
    return [(e.stored_type, e.step_key) for e in events(storage) if e.stored_type in names]


def test_finished_steps_are_not_run_again_and_their_outputs_are_read_back(
    storage: DyingStorage, chain: JobDefinition, ran: list[str], tmp_path: Path
) -> None:
    die_at(storage, chain, tmp_path, E.STEP_START, "three")
    assert ran == ["one", "two"]
    assert go_on(storage, chain, tmp_path) is RunStatus.SUCCESS
    assert ran == ["one", "two", "three of 2"]
    assert types(storage, E.RUN_START, E.RUN_SUCCESS) == [
        ("RUN_START", None),
        ("RUN_SUCCESS", None),
    ]
    assert types(storage, E.STEP_SUCCESS) == [
        ("STEP_SUCCESS", "one"),
        ("STEP_SUCCESS", "two"),
        ("STEP_SUCCESS", "three"),
    ]
    [said] = [e.message for e in events(storage) if "goes on" in e.message]
    assert said.endswith("goes on with the run, attempt 1: 2 of 3 steps have ended")
    record = storage.get_run_record("r")
    assert (record.resume_attempts, record.worker_epoch) == (1, 2)
    assert (record.counts.succeeded, record.counts.failed, record.counts.in_progress) == (3, 0, 0)


def test_a_step_that_had_begun_begins_again_as_another_attempt(
    storage: DyingStorage, chain: JobDefinition, ran: list[str], tmp_path: Path
) -> None:
    """Even when its output was stored: what is not in the log has not happened."""
    die_at(storage, chain, tmp_path, E.STEP_SUCCESS, "two")
    assert go_on(storage, chain, tmp_path) is RunStatus.SUCCESS
    assert ran == ["one", "two", "two", "three of 2"]
    assert types(storage, E.STEP_START, E.STEP_RESTARTED) == [
        ("STEP_START", "one"),
        ("STEP_START", "two"),
        ("STEP_RESTARTED", "two"),
        ("STEP_START", "three"),
    ]
    [said] = [e.message for e in events(storage) if e.event_type is E.STEP_RESTARTED]
    assert said == "Step two started again, attempt 2"
    attempts = fold_steps({}, events(storage))["two"].attempts
    assert [(a.number, a.status, a.epoch) for a in attempts] == [
        (1, StepStatus.ABANDONED, 1),
        (2, StepStatus.SUCCESS, 2),
    ]


def test_a_run_whose_steps_had_all_ended_ends(
    storage: DyingStorage, chain: JobDefinition, ran: list[str], tmp_path: Path
) -> None:
    die_at(storage, chain, tmp_path, E.RUN_SUCCESS, None)
    assert go_on(storage, chain, tmp_path) is RunStatus.SUCCESS
    assert ran == ["one", "two", "three of 2"]


def test_a_step_that_failed_stays_failed_and_the_others_go_on(
    storage: DyingStorage, ran: list[str], tmp_path: Path
) -> None:
    @op
    def bad() -> int:
        ran.append("bad")
        raise Failure("on purpose")

    @op
    def after(number: int) -> None:
        ran.append("after")

    @op
    def other() -> None:
        ran.append("other")

    @job
    def mixed() -> None:
        after(bad())
        other()

    die_at(storage, mixed, tmp_path, E.STEP_START, "other")
    assert go_on(storage, mixed, tmp_path) is RunStatus.FAILURE
    assert ran == ["bad", "other"]
    failure = storage.get_run_record("r").failure
    assert failure is not None
    assert failure.failed_step_keys == ("bad",)


def test_skipped_steps_are_told_once(storage: DyingStorage, ran: list[str], tmp_path: Path) -> None:
    @op(out=Out(is_required=False))
    def maybe() -> Iterator[Output[int]]:
        yield from ()

    @op
    def after(number: int) -> None:
        ran.append("after")

    @op
    def last() -> None:
        ran.append("last")

    @job
    def skipping() -> None:
        after(maybe())
        last.tag({"runwire/priority": "-1"})()

    die_at(storage, skipping, tmp_path, E.STEP_SUCCESS, "last")
    assert types(storage, E.STEP_SKIPPED) == [("STEP_SKIPPED", "after")]
    assert go_on(storage, skipping, tmp_path) is RunStatus.SUCCESS
    assert types(storage, E.STEP_SKIPPED) == [("STEP_SKIPPED", "after")]
    assert ran == ["last", "last"]


def test_a_skip_that_was_not_told_yet_is_told(storage: DyingStorage, tmp_path: Path) -> None:
    @op(out=Out(is_required=False))
    def maybe() -> Iterator[Output[int]]:
        yield from ()

    @op
    def after(number: int) -> None: ...

    @job
    def skipping() -> None:
        after(maybe())

    launched_run(storage, skipping.name)
    tell(storage, "r", E.RUN_START, epoch=1)
    write(storage, (E.STEP_START, "maybe", None), (E.STEP_SUCCESS, "maybe", None))
    lose_worker(storage)
    assert go_on(storage, skipping, tmp_path) is RunStatus.SUCCESS
    assert types(storage, E.STEP_SKIPPED) == [("STEP_SKIPPED", "after")]


def test_resources_are_made_for_the_steps_that_are_left_alone(
    storage: DyingStorage, ran: list[str], tmp_path: Path
) -> None:
    @resource
    def disk() -> str:
        ran.append("disk")
        return "disk"

    @resource
    def net() -> str:
        ran.append("net")
        return "net"

    @op(required_resource_keys={"disk"})
    def load() -> int:
        return 1

    @op(required_resource_keys={"net"})
    def send(number: int) -> None: ...

    @job(resource_defs={"disk": disk, "net": net})
    def sending() -> None:
        send(load())

    die_at(storage, sending, tmp_path, E.STEP_START, "send")
    ran.clear()
    assert go_on(storage, sending, tmp_path) is RunStatus.SUCCESS
    assert ran == ["net"]


def test_a_canceling_run_is_ended_and_nothing_runs(
    storage: DyingStorage, chain: JobDefinition, ran: list[str], tmp_path: Path
) -> None:
    die_at(storage, chain, tmp_path, E.STEP_START, "two")
    tell(storage, "r", E.RUN_CANCELING)
    assert go_on(storage, chain, tmp_path) is RunStatus.CANCELED
    assert ran == ["one"]


def test_a_worker_that_was_fenced_does_not_go_on(
    storage: DyingStorage, chain: JobDefinition, ran: list[str], tmp_path: Path
) -> None:
    die_at(storage, chain, tmp_path, E.STEP_START, "two")
    before = events(storage)
    record = storage.get_run_record("r")
    lose_worker(storage)
    execute_run(
        chain,
        record,
        storage,
        epoch=2,
        executor=InProcessExecutor(),
        io_base_dir=tmp_path,
        interrupts=Interrupts(),
    )
    assert ran == ["one"]
    assert [e.stored_type for e in events(storage)[len(before) :]] == ["RUN_WORKER_LOST"]


def test_a_worker_that_was_fenced_makes_no_resources(
    storage: DyingStorage, ran: list[str], tmp_path: Path
) -> None:
    @resource
    def disk() -> str:
        ran.append("disk")
        return "disk"

    @op(required_resource_keys={"disk"})
    def load() -> None: ...

    @job(resource_defs={"disk": disk})
    def loading() -> None:
        load()

    record = launched_run(storage, loading.name)
    tell(storage, "r", E.RUN_START, epoch=1)
    lose_worker(storage)
    lose_worker(storage)
    execute_run(
        loading,
        record,
        storage,
        epoch=2,
        executor=InProcessExecutor(),
        io_base_dir=tmp_path,
        interrupts=Interrupts(),
    )
    assert ran == []


def test_a_started_run_that_nobody_resumed_is_left_alone(
    storage: DyingStorage, chain: JobDefinition, ran: list[str], tmp_path: Path
) -> None:
    launched_run(storage, chain.name)
    tell(storage, "r", E.RUN_START, epoch=1)
    assert go_on(storage, chain, tmp_path) is RunStatus.STARTED
    assert ran == []


# ------------------------------------------------------------------------ what the log tells


def found(storage: MemoryStorage) -> FinishedSteps:
    return finished_steps(storage.event_log_storage, storage.get_run_record("r"))


def test_outputs_carry_the_epoch_of_the_attempt_that_succeeded(storage: DyingStorage) -> None:
    launched_run(storage)
    tell(storage, "r", E.RUN_START, epoch=1)
    write(
        storage,
        (E.STEP_START, "a", None),
        (E.HANDLED_OUTPUT, "a", output("left")),
        (E.STEP_SUCCESS, "a", None),
        (E.STEP_START, "b", None),
        (E.HANDLED_OUTPUT, "b", output("lost")),
    )
    lose_worker(storage)
    write(
        storage,
        (E.STEP_START, "b", None),
        (E.HANDLED_OUTPUT, "b", output("kept")),
        (E.STEP_SUCCESS, "b", None),
        (E.STEP_START, "c", None),
        epoch=2,
    )
    assert found(storage) == FinishedSteps({"a": {"left": 1}, "b": {"kept": 2}}, attempts={"c": 1})


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (StepErrorSource.INTERRUPT, FinishedSteps(attempts={"a": 1})),
        (StepErrorSource.USER_CODE_ERROR, FinishedSteps(failed=frozenset({"a"}))),
        (StepErrorSource.UNEXPECTED_ERROR, FinishedSteps(failed=frozenset({"a"}))),
    ],
)
def test_an_interrupted_step_has_not_ended(
    storage: DyingStorage, source: StepErrorSource, told: FinishedSteps
) -> None:
    launched_run(storage)
    tell(storage, "r", E.RUN_START, epoch=1)
    write(storage, (E.STEP_START, "a", None), (E.STEP_FAILURE, "a", StepFailureData(source)))
    assert found(storage) == told


def test_an_interrupted_step_that_fails_by_itself_the_next_time_has_failed(
    storage: DyingStorage,
) -> None:
    launched_run(storage)
    tell(storage, "r", E.RUN_START, epoch=1)
    interrupt = StepFailureData(StepErrorSource.INTERRUPT)
    write(storage, (E.STEP_START, "a", None), (E.STEP_FAILURE, "a", interrupt))
    lose_worker(storage)
    failure = StepFailureData(StepErrorSource.USER_CODE_ERROR)
    write(storage, (E.STEP_RESTARTED, "a", None), (E.STEP_FAILURE, "a", failure), epoch=2)
    lose_worker(storage)
    assert found(storage) == FinishedSteps(failed=frozenset({"a"}))


def test_attempts_of_all_workers_are_counted(storage: DyingStorage) -> None:
    launched_run(storage)
    tell(storage, "r", E.RUN_START, epoch=1)
    write(storage, (E.STEP_START, "a", None), (E.STEP_START, "b", None))
    lose_worker(storage)
    write(storage, (E.STEP_RESTARTED, "a", None), epoch=2)
    lose_worker(storage)
    write(storage, (E.STEP_RESTARTED, "a", None), epoch=3)
    assert found(storage) == FinishedSteps(attempts={"a": 3, "b": 1})


def test_what_outsiders_write_of_steps_does_not_count(storage: DyingStorage) -> None:
    """Such as an op, by its instance."""
    launched_run(storage)
    tell(storage, "r", E.RUN_START, epoch=1)
    write(storage, (E.STEP_START, "a", None))
    outside = [
        EventLogEntry(run_id="r", event_type=event_type, message="", step_key=key, data=data)
        for event_type, key, data in (
            (E.HANDLED_OUTPUT, "a", output()),
            (E.STEP_SUCCESS, "a", None),
            (E.STEP_START, "b", None),
            (E.STEP_SKIPPED, "c", None),
        )
    ]
    storage.store_events("r", outside)
    assert found(storage) == FinishedSteps(attempts={"a": 1})


def test_long_logs_are_read_to_their_end(storage: DyingStorage) -> None:
    launched_run(storage)
    tell(storage, "r", E.RUN_START, epoch=1)
    for number in range(600):
        write(storage, (E.STEP_START, f"s{number}", None), (E.STEP_SUCCESS, f"s{number}", None))
    assert len(found(storage).succeeded) == 600
