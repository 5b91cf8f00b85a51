"""The whole work of a worker: whether it may begin, and the one event that ends the run."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from runwire.definitions import AssetMaterialization, JobDefinition, OpContext, job, op
from runwire.errors import RunNotFoundError, StorageUnavailableError
from runwire.events.entry import EventLogRecord
from runwire.events.payloads import (
    RunFailureData,
    RunFailureReason,
    StepErrorSource,
    StepFailureData,
)
from runwire.events.types import EventType
from runwire.execution import Interrupts, execute_run
from runwire.executors import InProcessExecutor
from runwire.run_steps import Executor, RunSteps
from runwire.runs.run import RunFailure, StepCounts
from runwire.runs.status import RunStatus
from tests.execution.runs import (
    GENEROUS_SECONDS,
    ScriptedStorage,
    events,
    execute,
    launched_run,
    tell,
    told,
    types_of,
)


@pytest.fixture
def storage() -> Iterator[ScriptedStorage]:
    made = ScriptedStorage()
    yield made
    made.dispose()


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """Interrupts that signals request."""
    made = Interrupts()
    with made.captured():
        yield made


@op
def load() -> int:
    return 1


@op
def clean(rows: int) -> int:
    return rows


@op
def boom(rows: int = 0) -> int:
    raise ValueError("boom")


@job
def etl() -> None:
    clean(load())


@job
def failing() -> None:
    clean(boom(load()))
    boom()


def test_a_run_is_told_from_start_to_success(storage: ScriptedStorage, tmp_path: Path) -> None:
    assert execute(storage, etl, tmp_path) is RunStatus.SUCCESS
    assert told(events(storage)) == [
        ("RUN_STARTING", None, "RUN_STARTING"),
        ("RUN_START", None, "Run of job etl started in process N"),
        ("ENGINE_EVENT", None, "Executing 2 steps in process N"),
        ("STEP_START", "load", "Step load started"),
        ("STEP_OUTPUT", "load", "Output result of type int"),
        ("HANDLED_OUTPUT", "load", "Output result was stored"),
        ("STEP_SUCCESS", "load", "Step load succeeded in N ms"),
        ("STEP_START", "clean", "Step clean started"),
        ("LOADED_INPUT", "clean", "Input rows was loaded from load.result"),
        ("STEP_INPUT", "clean", "Input rows of type int"),
        ("STEP_OUTPUT", "clean", "Output result of type int"),
        ("HANDLED_OUTPUT", "clean", "Output result was stored"),
        ("STEP_SUCCESS", "clean", "Step clean succeeded in N ms"),
        ("ENGINE_EVENT", None, "Finished executing steps after N ms"),
        ("RUN_SUCCESS", None, "Run of job etl succeeded in N ms"),
    ]
    assert {record.epoch for record in events(storage)} == {1}
    counts = storage.get_run_record("r").counts
    assert counts == StepCounts(planned=2, succeeded=2)


def test_a_run_with_failing_steps_runs_what_it_can_and_names_them(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    assert execute(storage, failing, tmp_path) is RunStatus.FAILURE
    record = storage.get_run_record("r")
    assert record.failure == RunFailure(
        reason=RunFailureReason.STEP_FAILURE,
        message="Steps failed: boom_2, boom",
        failed_step_keys=("boom_2", "boom"),
    )
    assert types_of(events(storage)).count("STEP_FAILURE") == 2
    assert types_of(events(storage))[-1] == "RUN_FAILURE"


def test_at_most_25_failed_steps_are_named(storage: ScriptedStorage, tmp_path: Path) -> None:
    @job
    def many() -> None:
        for number in range(27):
            boom.alias(f"boom_{number:02}")()

    execute(storage, many, tmp_path)
    last = events(storage)[-1]
    names = tuple(f"boom_{number:02}" for number in range(25))
    assert last.message == f"Steps failed: {', '.join(names)} and 2 more"
    assert last.data == RunFailureData(RunFailureReason.STEP_FAILURE, names)


class Limits(BaseModel):
    rows: int


@op
def limited(config: Limits) -> int:
    return config.rows


@job
def needs_config() -> None:
    limited()


def test_a_run_config_that_does_not_fit_any_more_fails_the_run(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    assert execute(storage, needs_config, tmp_path) is RunStatus.FAILURE
    assert types_of(events(storage)) == ["RUN_STARTING", "RUN_START", "RUN_FAILURE"]
    last = events(storage)[-1]
    assert last.data == RunFailureData(RunFailureReason.RUN_EXCEPTION)
    assert last.message.startswith("The run failed: the run config does not fit job 'needs_config'")
    assert last.error is not None
    assert last.error.class_name == "RunConfigInvalidError"


class Lazy(Executor):
    def execute(self, steps: RunSteps) -> None:
        pass


class Buggy(Executor):
    def execute(self, steps: RunSteps) -> None:
        raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (Lazy(), "The run failed: RuntimeError: Lazy returned before all steps had ended"),
        (Buggy(), "The run failed: ZeroDivisionError: division by zero"),
    ],
)
def test_an_executor_that_does_not_do_its_work_fails_the_run(
    storage: ScriptedStorage, tmp_path: Path, executor: Executor, message: str
) -> None:
    assert execute(storage, etl, tmp_path, executor=executor) is RunStatus.FAILURE
    assert told(events(storage))[-1] == ("RUN_FAILURE", None, message)


# ---------------------------------------------------------------- whether it may begin


def begin(storage: ScriptedStorage, folder: Path, epoch: int = 1) -> RunStatus:
    return execute_run(
        etl,
        storage.get_run_record("r"),
        storage,
        epoch=epoch,
        executor=InProcessExecutor(),
        io_base_dir=folder,
    )


def test_a_run_that_is_canceling_ends_before_it_begins(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    launched_run(storage)
    tell(storage, "r", EventType.RUN_CANCELING)
    assert begin(storage, tmp_path) is RunStatus.CANCELED
    assert told(events(storage)[2:]) == [
        ("RUN_CANCELED", None, "The run was canceled before its worker began it")
    ]


def test_a_run_that_runs_already_is_left_alone_and_told(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    launched_run(storage)
    tell(storage, "r", EventType.RUN_START)
    assert begin(storage, tmp_path) is RunStatus.STARTED
    assert told(events(storage)[2:]) == [
        (
            "ENGINE_EVENT",
            None,
            "Process N does not execute the run: it is STARTED, a worker begins only what is STARTING",
        )
    ]


@pytest.mark.parametrize("end", [EventType.RUN_CANCELED, EventType.RUN_FAILURE])
def test_nothing_is_written_to_a_run_that_has_ended(
    storage: ScriptedStorage, tmp_path: Path, end: EventType
) -> None:
    launched_run(storage)
    tell(storage, "r", end)
    before = events(storage)
    assert begin(storage, tmp_path).is_terminal
    assert events(storage) == before


def test_a_worker_whose_epoch_is_over_writes_nothing(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    launched_run(storage)
    tell(storage, "r", EventType.RUN_WORKER_LOST, handover=True)
    before = events(storage)
    assert begin(storage, tmp_path) is RunStatus.STARTING
    assert events(storage) == before
    assert begin(storage, tmp_path, epoch=2) is RunStatus.SUCCESS


def test_of_two_workers_with_one_epoch_one_runs(storage: ScriptedStorage, tmp_path: Path) -> None:
    """The other one's RUN_START comes between our look at the status and our RUN_START."""
    launched_run(storage)
    store = storage.store_events
    others: list[Any] = [EventType.RUN_START]

    def store_after_other(*args: Any, **options: Any) -> Any:
        while others:
            tell(storage, "r", others.pop(), epoch=1)
        return store(*args, **options)

    storage.store_events = store_after_other  # type: ignore[method-assign]
    assert begin(storage, tmp_path) is RunStatus.STARTED
    records = events(storage)
    assert [(r.stored_type, r.applied) for r in records[1:]] == [
        ("RUN_START", True),
        ("RUN_START", False),
        ("ENGINE_EVENT", True),
    ]


# ---------------------------------------------------------------- what happens meanwhile


def job_that(does: Callable[[OpContext], None]) -> JobDefinition:
    """A job of two steps in a row, of which the first does something."""

    @op
    def first(context: OpContext) -> int:
        does(context)
        return 1

    @job
    def two() -> None:
        clean(first())

    return two


def test_a_step_that_is_interrupted_while_the_run_is_canceling_cancels_it(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts
) -> None:
    cleaned_up = []

    def cancel(context: OpContext) -> None:
        tell(storage, "r", EventType.RUN_CANCELING)
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            context.log.info("cleaning up")
            cleaned_up.append(True)

    status = execute(storage, job_that(cancel), tmp_path, interrupts=interrupts)
    assert status is RunStatus.CANCELED
    assert cleaned_up == [True]
    records = events(storage)
    assert told(records)[3:] == [
        ("STEP_START", "first", "Step first started"),
        ("RUN_CANCELING", None, "RUN_CANCELING"),
        (None, "first", "cleaning up"),
        ("STEP_FAILURE", "first", "Step first was interrupted"),
        ("ENGINE_EVENT", None, "Stopped executing steps, interrupted after N ms"),
        ("RUN_CANCELED", None, "The run was canceled"),
    ]
    assert records[6].data == StepFailureData(StepErrorSource.INTERRUPT)


def test_what_is_being_written_is_stored_before_the_interrupt_is_raised(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts
) -> None:
    store = storage.store_events

    def store_interrupted(run_id: str, entries: Any, **options: Any) -> Any:
        if entries[-1].event_type is EventType.ASSET_MATERIALIZATION:
            signal.raise_signal(signal.SIGTERM)
        return store(run_id, entries, **options)

    storage.store_events = store_interrupted  # type: ignore[method-assign]

    def materialize(context: OpContext) -> None:
        context.log_event(AssetMaterialization("lake"))
        context.log.info("never")

    execute(storage, job_that(materialize), tmp_path, interrupts=interrupts)
    assert told(events(storage))[4:6] == [
        ("ASSET_MATERIALIZATION", "first", "Asset lake was materialized"),
        ("STEP_FAILURE", "first", "Step first was interrupted"),
    ]


def test_a_run_that_is_marked_as_canceled_and_then_interrupted_gets_no_second_end(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts
) -> None:
    class Canceled(Executor):
        def execute(self, steps: RunSteps) -> None:
            tell(storage, "r", EventType.RUN_CANCELED)
            signal.raise_signal(signal.SIGTERM)
            steps.start_next()

    status = execute(storage, etl, tmp_path, executor=Canceled(), interrupts=interrupts)
    assert status is RunStatus.CANCELED
    assert types_of(events(storage)) == ["RUN_STARTING", "RUN_START", "RUN_CANCELED"]


def test_an_interrupt_that_nobody_asked_for_fails_the_run(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts
) -> None:
    stop = job_that(lambda _: signal.raise_signal(signal.SIGTERM))
    assert execute(storage, stop, tmp_path, interrupts=interrupts) is RunStatus.FAILURE
    last = events(storage)[-1]
    assert last.message == (
        "The run was interrupted unexpectedly: its worker was stopped, but nobody canceled it"
    )
    assert last.data == RunFailureData(RunFailureReason.RUN_EXCEPTION)


@op
def sleeps(context: OpContext) -> int:
    context.log.info("asleep")
    time.sleep(GENEROUS_SECONDS * 2)
    return 1


@op
async def sleeps_in_a_loop(context: OpContext) -> int:
    context.log.info("asleep")
    await asyncio.sleep(GENEROUS_SECONDS * 2)
    return 1


@pytest.mark.parametrize("sleeper", [sleeps, sleeps_in_a_loop])
def test_an_op_that_waits_is_woken(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts, sleeper: Any
) -> None:
    @job
    def sleepy() -> None:
        sleeper()

    main = threading.main_thread().ident
    assert main is not None

    def wake(record: EventLogRecord) -> None:
        if record.message == "asleep":
            signal.pthread_kill(main, signal.SIGTERM)

    class Woken(InProcessExecutor):
        def execute(self, steps: RunSteps) -> None:
            storage.event_log_storage.watch(storage.get_run_record("r"), 0, wake)
            super().execute(steps)

    began = time.monotonic()
    execute(storage, sleepy, tmp_path, executor=Woken(), interrupts=interrupts)
    assert time.monotonic() - began < GENEROUS_SECONDS
    (failure,) = (r for r in events(storage) if r.stored_type == "STEP_FAILURE")
    assert failure.data == StepFailureData(StepErrorSource.INTERRUPT)


def test_an_op_that_swallows_the_interrupt_is_stopped_after_its_step(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts
) -> None:
    def swallow(_: OpContext) -> None:
        tell(storage, "r", EventType.RUN_CANCELING)
        with suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)

    status = execute(storage, job_that(swallow), tmp_path, interrupts=interrupts)
    assert status is RunStatus.CANCELED
    ends = [each for each in types_of(events(storage)) if each in {"STEP_START", "STEP_SUCCESS"}]
    assert ends == ["STEP_START", "STEP_SUCCESS"]


def test_an_op_that_turns_the_interrupt_into_an_error_does_not_turn_the_run_into_a_failure(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts
) -> None:
    @op
    def last() -> None:
        tell(storage, "r", EventType.RUN_CANCELING)
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            raise ValueError("gave up") from error

    @job
    def one() -> None:
        last()

    assert execute(storage, one, tmp_path, interrupts=interrupts) is RunStatus.CANCELED


def test_a_run_whose_steps_have_all_succeeded_is_a_success_though_it_was_asked_to_stop(
    storage: ScriptedStorage, tmp_path: Path, interrupts: Interrupts
) -> None:
    class StopsLate(InProcessExecutor):
        def execute(self, steps: RunSteps) -> None:
            super().execute(steps)
            tell(storage, "r", EventType.RUN_CANCELING)
            signal.raise_signal(signal.SIGTERM)
            assert steps.start_next() is None

    status = execute(storage, etl, tmp_path, executor=StopsLate(), interrupts=interrupts)
    assert status is RunStatus.SUCCESS


def test_a_keyboard_interrupt_ends_the_run_and_goes_on(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    def interrupt(_: OpContext) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(storage, job_that(interrupt), tmp_path)
    assert types_of(events(storage))[-2:] == ["STEP_FAILURE", "RUN_FAILURE"]
    assert storage.get_run_record("r").status is RunStatus.FAILURE


def test_a_worker_that_is_replaced_ends_quietly_and_writes_nothing_more(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    seen = []

    def replace(_: OpContext) -> None:
        tell(storage, "r", EventType.RUN_WORKER_LOST, handover=True)
        seen.append(types_of(events(storage)))

    assert execute(storage, job_that(replace), tmp_path) is RunStatus.STARTED
    assert types_of(events(storage)) == seen[0]


def test_a_run_that_is_marked_as_canceled_stays_so(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    seen = []

    def cancel(_: OpContext) -> None:
        tell(storage, "r", EventType.RUN_CANCELED)
        seen.append(types_of(events(storage)))

    assert execute(storage, job_that(cancel), tmp_path) is RunStatus.CANCELED
    assert types_of(events(storage)) == seen[0]


def test_a_late_success_is_kept_as_not_applied(storage: ScriptedStorage, tmp_path: Path) -> None:
    class CanceledLate(InProcessExecutor):
        def execute(self, steps: RunSteps) -> None:
            super().execute(steps)
            tell(storage, "r", EventType.RUN_CANCELED)

    status = execute(storage, etl, tmp_path, executor=CanceledLate())
    assert status is RunStatus.CANCELED
    ends = [(r.stored_type, r.applied) for r in events(storage)][-2:]
    assert ends == [("RUN_CANCELED", True), ("RUN_SUCCESS", False)]


def test_an_outage_that_stays_is_raised(storage: ScriptedStorage, tmp_path: Path) -> None:
    def fail(_: OpContext) -> None:
        storage.failing = True

    with pytest.raises(StorageUnavailableError):
        execute(storage, job_that(fail), tmp_path)
    storage.failing = False
    assert storage.get_run_record("r").status is RunStatus.STARTED


def test_an_outage_fails_the_run_when_it_is_over(storage: ScriptedStorage, tmp_path: Path) -> None:
    class Recovers(InProcessExecutor):
        def execute(self, steps: RunSteps) -> None:
            try:
                super().execute(steps)
            finally:
                storage.failing = False

    def fail(_: OpContext) -> None:
        storage.failing = True

    status = execute(storage, job_that(fail), tmp_path, executor=Recovers())
    assert status is RunStatus.FAILURE
    assert events(storage)[-1].message == "The run failed: the disk is full"


def test_a_run_that_is_deleted_meanwhile_is_not_there(
    storage: ScriptedStorage, tmp_path: Path
) -> None:
    with pytest.raises(RunNotFoundError):
        execute(storage, job_that(lambda _: storage.delete_run("r")), tmp_path)
