"""Steps that are tried again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runwire import clock
from runwire.control import finished_steps
from runwire.definitions import (
    Failure,
    JobDefinition,
    OpContext,
    RetryMode,
    RetryPolicy,
    RetryRequested,
    job,
    op,
)
from runwire.error_info import ErrorInfo
from runwire.errors import RunInterrupted
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import StepErrorSource, StepFailureData, StepRetryData
from runwire.events.types import EventType
from runwire.execution import ExecutionPlan, Interrupts, Progress, StepState, execute_run
from runwire.executors import InProcessExecutor
from runwire.runs.status import RunStatus
from runwire.runs.steps import StepStatus, fold_steps
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, execute, launched_run, tell, told_of_steps, types_of
from tests.execution.test_progress import step

THRICE = RetryPolicy(max_retries=3)


@pytest.fixture
def storage() -> Iterator[MemoryStorage]:
    made = MemoryStorage()
    yield made
    made.dispose()


def failing_until(
    retry: int, raised: Callable[[], BaseException], **options: object
) -> JobDefinition:
    """A job of one op that raises before it was tried again so often."""

    @op(retry_policy=THRICE)
    def flaky(context: OpContext) -> int:
        if context.retry_number < retry:
            raise raised()
        return context.retry_number

    @job(**options)  # type: ignore[call-overload, untyped-decorator]
    def etl() -> None:
        flaky()

    assert isinstance(etl, JobDefinition)
    return etl


def why(storage: MemoryStorage) -> tuple[str, StepErrorSource]:
    """What the one STEP_FAILURE says."""
    [failure] = [e for e in events(storage) if e.event_type is EventType.STEP_FAILURE]
    assert isinstance(failure.data, StepFailureData)
    return failure.message, failure.data.error_source


def test_a_step_succeeds_when_it_is_tried_again(storage: MemoryStorage, tmp_path: Path) -> None:
    assert (
        execute(storage, failing_until(2, lambda: OSError("busy")), tmp_path) is RunStatus.SUCCESS
    )
    assert told_of_steps(events(storage)) == [
        ("STEP_START", "flaky", "Step flaky started"),
        ("STEP_UP_FOR_RETRY", "flaky", "Step flaky is tried again, retry 1 of 3: OSError: busy"),
        ("STEP_RESTARTED", "flaky", "Step flaky started again, attempt 2"),
        ("STEP_UP_FOR_RETRY", "flaky", "Step flaky is tried again, retry 2 of 3: OSError: busy"),
        ("STEP_RESTARTED", "flaky", "Step flaky started again, attempt 3"),
        *[
            each
            for each in told_of_steps(events(storage))
            if each[0] in {"STEP_OUTPUT", "HANDLED_OUTPUT"}
        ],
        ("STEP_SUCCESS", "flaky", "Step flaky succeeded in N ms"),
    ]
    attempts = fold_steps({}, events(storage))["flaky"].attempts
    assert [(each.number, each.status) for each in attempts] == [
        (1, StepStatus.UP_FOR_RETRY),
        (2, StepStatus.UP_FOR_RETRY),
        (3, StepStatus.SUCCESS),
    ]
    told = next(e for e in events(storage) if e.event_type is EventType.STEP_UP_FOR_RETRY)
    assert told.error is not None
    assert (told.error.message, told.data) == ("busy", StepRetryData(0.0))


def test_a_step_that_never_succeeds_fails_once_all_retries_are_used(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    assert (
        execute(storage, failing_until(9, lambda: OSError("busy")), tmp_path) is RunStatus.FAILURE
    )
    assert why(storage) == (
        "Step flaky failed: OSError: busy; it was tried again 3 times",
        StepErrorSource.USER_CODE_ERROR,
    )
    assert types_of(events(storage)).count("STEP_UP_FOR_RETRY") == 3


def test_the_policy_of_the_job_counts_for_ops_without(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    @op
    def flaky(context: OpContext) -> None:
        if not context.retry_number:
            raise OSError("busy")

    @job(op_retry_policy=RetryPolicy())
    def etl() -> None:
        flaky()

    assert execute(storage, etl, tmp_path) is RunStatus.SUCCESS


def test_what_an_op_asks_for_goes_before_its_policy(storage: MemoryStorage, tmp_path: Path) -> None:
    def asked() -> RetryRequested:
        request = RetryRequested(max_retries=1)
        request.__cause__ = ZeroDivisionError("division by zero")
        return request

    assert execute(storage, failing_until(9, asked), tmp_path) is RunStatus.FAILURE
    reason = "ZeroDivisionError: division by zero"
    assert why(storage) == (
        f"Step flaky failed: {reason}; it was tried again once",
        StepErrorSource.USER_CODE_ERROR,
    )
    [told] = [e for e in events(storage) if e.event_type is EventType.STEP_UP_FOR_RETRY]
    assert told.message == f"Step flaky is tried again, retry 1 of 1: {reason}"
    assert isinstance(told.error, ErrorInfo)
    assert (told.error.class_name, [cause.class_name for cause in told.error.causes]) == (
        "RetryRequested",
        ["ZeroDivisionError"],
    )


@pytest.mark.parametrize(
    ("raised", "message", "source"),
    [
        (
            lambda: Failure("no such customer", allow_retries=False),
            "Step flaky failed: no such customer; it allows no retries",
            StepErrorSource.USER_CODE_ERROR,
        ),
        (
            lambda: RetryRequested(max_retries=0),
            "Step flaky failed: RetryRequested: the op asks to be tried again",
            StepErrorSource.USER_CODE_ERROR,
        ),
    ],
    ids=["a Failure that says so", "a request for none"],
)
def test_what_is_not_tried_again(
    storage: MemoryStorage,
    tmp_path: Path,
    raised: Callable[[], BaseException],
    message: str,
    source: StepErrorSource,
) -> None:
    assert execute(storage, failing_until(1, raised), tmp_path) is RunStatus.FAILURE
    assert why(storage) == (message, source)


@pytest.mark.parametrize("raised", [lambda: Failure("later"), lambda: SystemExit(3)])
def test_whatever_user_code_raises_is_tried_again(
    storage: MemoryStorage, tmp_path: Path, raised: Callable[[], BaseException]
) -> None:
    assert execute(storage, failing_until(1, raised), tmp_path) is RunStatus.SUCCESS


def test_what_runwire_refuses_is_not_tried_again(storage: MemoryStorage, tmp_path: Path) -> None:
    @op(retry_policy=THRICE)
    def wrong() -> int:
        return "one"  # type: ignore[return-value]

    @job
    def etl() -> None:
        wrong()

    assert execute(storage, etl, tmp_path) is RunStatus.FAILURE
    message, source = why(storage)
    assert source is StepErrorSource.FRAMEWORK_ERROR
    assert "tried again" not in message


def test_an_executor_may_have_retries_disabled(storage: MemoryStorage, tmp_path: Path) -> None:
    made = failing_until(1, lambda: OSError("busy"))
    executor = InProcessExecutor(retries=RetryMode.DISABLED)
    assert execute(storage, made, tmp_path, executor=executor) is RunStatus.FAILURE
    assert why(storage)[0] == (
        "Step flaky failed: OSError: busy; the executor of its job has retries disabled"
    )


@pytest.mark.parametrize("hides", [False, True], ids=["as it is", "as an error of its own"])
def test_a_step_that_is_interrupted_is_not_tried_again(
    storage: MemoryStorage, tmp_path: Path, hides: bool
) -> None:
    @op(retry_policy=THRICE)
    def slow() -> None:
        try:
            tell(storage, "r", EventType.RUN_CANCELING)
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(60)
        except RunInterrupted:
            if hides:
                raise ValueError("something went wrong") from None
            raise

    @job
    def etl() -> None:
        slow()

    interrupts = Interrupts()
    with interrupts.captured():
        status = execute(storage, etl, tmp_path, interrupts=interrupts)
    assert status is RunStatus.CANCELED
    assert "STEP_UP_FOR_RETRY" not in types_of(events(storage))


def test_other_steps_go_on_while_one_waits(storage: MemoryStorage, tmp_path: Path) -> None:
    @op(retry_policy=RetryPolicy(delay=0.05))
    def flaky(context: OpContext) -> None:
        if not context.retry_number:
            raise OSError("busy")

    @op
    def other() -> None: ...

    @job
    def etl() -> None:
        flaky()
        other()

    assert execute(storage, etl, tmp_path) is RunStatus.SUCCESS
    begun = ("STEP_START", "STEP_RESTARTED")
    assert [e.step_key for e in events(storage) if e.stored_type in begun] == [
        "flaky",
        "other",
        "flaky",
    ]
    [told] = [e for e in events(storage) if e.event_type is EventType.STEP_UP_FOR_RETRY]
    assert told.message.startswith("Step flaky is tried again in 0.05 s, retry 1 of 1: ")
    again = next(e for e in events(storage) if e.event_type is EventType.STEP_RESTARTED)
    assert again.timestamp - told.timestamp >= 0.04


def test_a_step_that_waits_can_be_canceled(storage: MemoryStorage, tmp_path: Path) -> None:
    @op(retry_policy=RetryPolicy(delay=3600))
    def flaky() -> None:
        raise OSError("busy")

    @job
    def etl() -> None:
        flaky()

    def cancel() -> None:
        waits = {EventType.STEP_UP_FOR_RETRY}
        while not waits & {e.event_type for e in events(storage)}:
            pass
        tell(storage, "r", EventType.RUN_CANCELING)
        os.kill(os.getpid(), signal.SIGTERM)

    interrupts = Interrupts()
    with interrupts.captured():
        record = launched_run(storage)
        canceling = threading.Thread(target=cancel)
        canceling.start()
        status = execute_run(
            etl,
            record,
            storage,
            epoch=1,
            executor=InProcessExecutor(),
            io_base_dir=tmp_path,
            interrupts=interrupts,
        )
        canceling.join()
    assert status is RunStatus.CANCELED


# ------------------------------------------------------------------------- another worker


def test_a_worker_that_goes_on_waits_for_what_is_left_and_counts_on(
    storage: MemoryStorage,
) -> None:
    record = launched_run(storage)
    began = clock.timestamp()

    def tell_step(event_type: EventType, at: float, data: StepRetryData | None = None) -> None:
        entry = EventLogEntry(
            run_id="r",
            event_type=event_type,
            message="",
            step_key="flaky",
            timestamp=at,
            data=data,
            error=ErrorInfo("busy") if data else None,
        )
        storage.store_events("r", [entry], epoch=1)

    tell(storage, "r", EventType.RUN_START, epoch=1)
    tell_step(EventType.STEP_START, began - 40)
    tell_step(EventType.STEP_UP_FOR_RETRY, began - 39, StepRetryData(1.0))
    tell_step(EventType.STEP_RESTARTED, began - 38)
    tell_step(EventType.STEP_UP_FOR_RETRY, began - 10, StepRetryData(60.0))
    found = finished_steps(storage.event_log_storage, record)
    assert (found.attempts, found.retries) == ({"flaky": 2}, {"flaky": 2})
    assert 40 < found.waits["flaky"] <= 50
    progress = Progress(ExecutionPlan("etl", {"flaky": step("flaky")}), found)
    assert (progress.start_next(), progress.state_of("flaky")) == (None, StepState.UP_FOR_RETRY)
    assert (progress.attempt_of("flaky"), progress.retries_of("flaky")) == (3, 2)
    tell_step(EventType.STEP_RESTARTED, began)
    again = finished_steps(storage.event_log_storage, record)
    assert (again.attempts, again.retries, again.waits) == ({"flaky": 3}, {"flaky": 2}, {})


# --------------------------------------------------------------------------- the states


def test_a_step_waits_until_its_time_has_come() -> None:
    now = [100.0]
    plan = ExecutionPlan("etl", {"a": step("a"), "b": step("b", "a.a"), "c": step("c")})
    progress = Progress(plan, monotonic=lambda: now[0])
    assert (progress.start_next(), progress.seconds_to_retry()) == ("a", None)
    progress.retry("a", 5.0)
    assert (progress.state_of("a"), progress.seconds_to_retry()) == (StepState.UP_FOR_RETRY, 5.0)
    assert (progress.attempt_of("a"), progress.retries_of("a")) == (2, 1)
    assert progress.left == ("a", "b", "c")
    assert [progress.start_next(), progress.start_next()] == ["c", None]
    now[0] += 7
    assert progress.seconds_to_retry() == 0.0
    assert (progress.start_next(), progress.seconds_to_retry()) == ("a", None)
    progress.succeed("a", {"a": 1})
    assert progress.start_next() == "b"
    with pytest.raises(ValueError, match="step 'a' is SUCCESS; only a step IN_FLIGHT can end"):
        progress.retry("a", 0)
