"""The inputs of a step: loaded, checked, told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runwire.control import StoredOutput
from runwire.definitions import OutputRef, check_type
from runwire.errors import InputLoadError, TypeCheckError
from runwire.events.payloads import LoadedInputData, StepInputData
from runwire.events.types import EventType
from runwire.execution.boundary import user_code_error_boundary
from runwire.execution.io import IO_MANAGER_KEY, InputContext
from runwire.execution.plan import ExecutionStep, StepInput
from runwire.execution.scope import RunScope
from runwire.execution.user_log import UserLog


def load_inputs(
    step: ExecutionStep, scope: RunScope, given: Callable[[OutputRef], StoredOutput | None]
) -> dict[str, Any]:
    """The values of the inputs of a step, by name.

    Args:
        step: the step.
        scope: its run.
        given: tells where an output is stored; None for one that was not given. A fan-in takes those that
            were.

    Raises:
        InputLoadError: a value could not be loaded.
        TypeCheckError: a value does not have the type of its input.
    """
    values = {}
    for each in step.inputs:
        value = _value(each, step, scope, given)
        _check(each, value, step, scope)
        values[each.name] = value
    return values


def _value(
    each: StepInput,
    step: ExecutionStep,
    scope: RunScope,
    given: Callable[[OutputRef], StoredOutput | None],
) -> Any:
    if not each.sources:
        return each.value
    found = [(ref, stored) for ref in each.sources if (stored := given(ref)) is not None]
    values = [_load(each, ref, stored, step, scope) for ref, stored in found]
    if each.is_fan_in:
        return values
    if not values:
        (source,) = each.sources
        raise InputLoadError(
            f"input {each.name!r} of op {step.op.name!r} needs output {source.output_name!r} of step"
            f" {source.handle!r}, which was not given"
        )
    return values[0]


def _load(
    each: StepInput,
    source: OutputRef,
    stored: StoredOutput,
    step: ExecutionStep,
    scope: RunScope,
) -> Any:
    context = InputContext(
        run_id=scope.run.run_id,
        job_name=scope.run.job_name,
        step_key=step.key,
        op_name=step.op.name,
        input_name=each.name,
        type_name=each.definition.type_name,
        upstream_step_key=source.handle,
        upstream_output_name=source.output_name,
        log=UserLog(scope.log, step.key),
        upstream_run_id=stored.run_id,
        upstream_epoch=stored.epoch,
    )
    with user_code_error_boundary(
        InputLoadError,
        lambda: (
            f"input {each.name!r} of op {step.op.name!r} could not be loaded from output"
            f" {source.output_name!r} of step {source.handle!r}"
        ),
    ):
        value = scope.io_manager.load_input(context)
    scope.log.tell(
        EventType.LOADED_INPUT,
        f"Input {each.name} was loaded from {source.handle}.{source.output_name}"
        + ("" if stored.run_id == scope.run.run_id else f" of run {stored.run_id}"),
        step_key=step.key,
        data=LoadedInputData(
            each.name,
            IO_MANAGER_KEY,
            source.handle,
            source.output_name,
            tuple(context.metadata),
        ),
    )
    return value


def _check(each: StepInput, value: Any, step: ExecutionStep, scope: RunScope) -> None:
    check = check_type(value, each.definition.type)
    scope.log.tell(
        EventType.STEP_INPUT,
        f"Input {each.name} of type {check.type_name}"
        + ("" if check.success else f" did not pass its type check: {check.description}"),
        step_key=step.key,
        data=StepInputData(each.name, check),
    )
    if not check.success:
        raise TypeCheckError(
            f"input {each.name!r} of op {step.op.name!r}: {check.description}; mend the op that gives"
            " the value, or the type of the input"
        )
