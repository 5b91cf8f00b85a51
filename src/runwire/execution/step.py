"""The life of one step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from runwire.control import StoredOutput
from runwire.definitions import OutputRef
from runwire.errors import RunInterrupted, StepExecutionError
from runwire.events.payloads import StepErrorSource, StepSuccessData
from runwire.events.types import EventType
from runwire.execution.attempts import FIRST, Attempt, EndedStep, tell_retry
from runwire.execution.boundary import user_code_error_boundary
from runwire.execution.contexts import StepContext
from runwire.execution.durations import describe_duration
from runwire.execution.op_call import call_op
from runwire.execution.plan import ExecutionStep
from runwire.execution.run_log import RunLog
from runwire.execution.scope import RunScope
from runwire.execution.step_inputs import load_inputs
from runwire.execution.step_outputs import StepOutputs
from runwire.execution.told_error import reason_of, step_failure_data, told_error
from runwire.fault_points import fault_point


def run_step(
    step: ExecutionStep,
    scope: RunScope,
    given: Callable[[OutputRef], StoredOutput | None],
    attempt: Attempt = FIRST,
) -> EndedStep:
    """Runs a step from STEP_START, or STEP_RESTARTED, to STEP_SUCCESS, STEP_FAILURE or STEP_UP_FOR_RETRY.

    When STEP_SUCCESS is written, its outputs are stored. In the worker's process it is itself stored with the
    STEP_START of the next step, or when the caller flushes the log: one sync less a step. Whatever the op
    raises fails the step, not the run's worker, and so does SystemExit.

    Args:
        step: the step.
        scope: its run.
        given: tells where an output of an earlier step is stored; None if it was not given.
        attempt: which attempt at it this is.

    Returns:
        How it has ended.

    Raises:
        RunInterrupted, KeyboardInterrupt: the run is to stop; the step has failed.
        StaleWorkerError, RunFinishedError, RunNotFoundError, StorageUnavailableError: the log cannot be
            written.
    """
    if scope.process == "step":
        fault_point("step.before_step_start")
    _tell_start(step.key, scope, attempt.number)
    began = time.perf_counter()
    try:
        outputs = _run_body(step, scope, given, attempt)
    except (RunInterrupted, KeyboardInterrupt) as interrupt:
        tell_step_failure(scope.log, step.key, interrupt)
        raise
    except BaseException as error:  # noqa: BLE001 - the log is told of it
        return _end(step.key, scope, attempt, error)
    seconds = time.perf_counter() - began
    fault_point(f"{scope.process}.after_output")
    scope.log.tell(
        EventType.STEP_SUCCESS,
        f"Step {step.key} succeeded in {describe_duration(seconds)}",
        step_key=step.key,
        data=StepSuccessData(round(seconds * 1000, 3)),
        with_next=scope.process == "worker",
    )
    if scope.process == "step":
        fault_point("step.after_step_success")
    return EndedStep(step.key, outputs)


def _end(step_key: str, scope: RunScope, attempt: Attempt, error: BaseException) -> EndedStep:
    """Ends an attempt that has failed."""
    verdict = attempt.next_after(error)
    if verdict.seconds_to_wait is not None:
        return tell_retry(scope.log, step_key, verdict, reason_of(error), told_error(error))
    tell_step_failure(scope.log, step_key, error, verdict.why_not)
    return EndedStep(step_key, None)


def _tell_start(step_key: str, scope: RunScope, attempt: int) -> None:
    if attempt == 1:
        scope.log.tell(EventType.STEP_START, f"Step {step_key} started", step_key=step_key)
    else:
        message = f"Step {step_key} started again, attempt {attempt}"
        scope.log.tell(EventType.STEP_RESTARTED, message, step_key=step_key)


def _run_body(
    step: ExecutionStep,
    scope: RunScope,
    given: Callable[[OutputRef], StoredOutput | None],
    attempt: Attempt,
) -> frozenset[str]:
    op = step.op
    arguments: dict[str, Any] = load_inputs(step, scope, given)
    outputs = StepOutputs(step, scope)
    if op.takes_context:
        arguments["context"] = StepContext(step, scope, outputs, attempt.retries)
    if op.config_model is not None:
        arguments["config"] = step.config
    with user_code_error_boundary(StepExecutionError, lambda: f"op {op.name!r} raised"):
        call_op(op, arguments, outputs)
    outputs.check_complete()
    return frozenset(outputs.given)


def tell_step_failure(
    log: RunLog, step_key: str, error: BaseException, why_final: str = ""
) -> None:
    """Writes the STEP_FAILURE of an error; `why_final` is added to what people are told."""
    data = step_failure_data(error)
    if data.error_source is StepErrorSource.INTERRUPT:
        message = f"Step {step_key} was interrupted"
    else:
        message = f"Step {step_key} failed: {data.description or reason_of(error)}{why_final}"
    log.tell(
        EventType.STEP_FAILURE,
        message,
        step_key=step_key,
        error=told_error(error),
        data=data,
    )
