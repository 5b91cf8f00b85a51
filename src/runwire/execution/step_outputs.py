"""The outputs that the op of a step gives: checked, told, stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runwire.definitions import (
    DEFAULT_OUTPUT,
    AssetMaterialization,
    Output,
    OutputDefinition,
    check_type,
)
from runwire.errors import (
    InvalidDefinitionError,
    OutputHandleError,
    StepExecutionError,
    TypeCheckError,
)
from runwire.events.metadata import MetadataEntry, normalize_metadata
from runwire.events.payloads import HandledOutputData, StepOutputData
from runwire.events.types import EventType
from runwire.execution.boundary import user_code_error_boundary
from runwire.execution.io import IO_MANAGER_KEY, OutputContext
from runwire.execution.plan import ExecutionStep
from runwire.execution.scope import RunScope
from runwire.execution.user_log import UserLog


class StepOutputs:
    """Takes the outputs of one step, in any order, each once. `given` are the names of those stored.

    Its methods raise what fails the step: StepExecutionError for what the op may not give, TypeCheckError,
    OutputHandleError; and what writing to the log raises.
    """

    def __init__(self, step: ExecutionStep, scope: RunScope) -> None:
        self._step = step
        self._scope = scope
        self._declared = step.op.outputs
        self._metadata: dict[str, tuple[MetadataEntry, ...]] = {}
        self.given: set[str] = set()

    def give_returned(self, value: Any) -> None:
        """Takes what a function returned: the value of its output, an Output, or a tuple of its outputs."""
        if isinstance(value, Output):
            self.give(value)
        elif len(self._declared) == 1:
            (name,) = self._declared
            self._give_output(Output(value, name))
        elif value is None and not any(output.is_required for output in self._declared.values()):
            return
        else:
            self._give_tuple(value)

    def give(self, item: Any) -> None:
        """Takes what a generator yielded: an Output, or an AssetMaterialization."""
        match item:
            case Output():
                self._give_output(item)
            case AssetMaterialization():
                self._scope.log.tell_asset(item, self._step.key)
            case _:
                raise self._refused(
                    f"yields a {type(item).__name__}",
                    "yield Output(value, output_name) or an AssetMaterialization",
                )

    def add_metadata(self, metadata: Mapping[str, Any], output_name: str) -> None:
        """Keeps metadata for an output that is still to come.

        Raises:
            InvalidDefinitionError: there is no such output, it was given, or a value cannot be metadata.
        """
        name = self._resolved(output_name)
        op_name = self._step.op.name
        if name not in self._declared:
            raise InvalidDefinitionError(
                f"op {op_name!r} has no output {name!r} to add metadata to; its outputs are:"
                f" {', '.join(self._declared)}"
            )
        if name in self.given:
            raise InvalidDefinitionError(
                f"op {op_name!r} has given its output {name!r} already; add metadata before that"
            )
        entries = normalize_metadata(metadata, f"op {op_name!r}, output {name!r}")
        self._metadata[name] = self._metadata.get(name, ()) + entries

    def check_complete(self) -> None:
        """Refuses a step that has ended without a required output."""
        missing = [
            name
            for name, output in self._declared.items()
            if output.is_required and name not in self.given
        ]
        if missing:
            names = ", ".join(map(repr, missing))
            raise self._refused(
                f"ended without its required output {names}",
                f"yield Output(value, {missing[0]!r}), or declare it Out(is_required=False)",
            )

    def _give_tuple(self, value: Any) -> None:
        names = tuple(self._declared)
        wanted = f"return a tuple of its {len(names)} outputs in order: {', '.join(names)}"
        if not isinstance(value, tuple):
            shown = "None" if value is None else f"a {type(value).__name__}"
            raise self._refused(f"returns {shown}", wanted)
        if len(value) != len(names):
            raise self._refused(f"returns a tuple of {len(value)} values", wanted)
        outputs = [
            element if isinstance(element, Output) else Output(element, name)
            for name, element in zip(names, value, strict=True)
        ]
        for name, output in zip(names, outputs, strict=True):
            if output.output_name not in (name, DEFAULT_OUTPUT):
                raise self._refused(
                    f"returns an Output for {output.output_name!r} in the place of {name!r}", wanted
                )
            self._give_output(output, name)

    def _give_output(self, output: Output[Any], output_name: str | None = None) -> None:
        name = self._resolved(output.output_name if output_name is None else output_name)
        definition = self._declared.get(name)
        if definition is None:
            raise self._refused(
                f"gives an output {name!r}, which it does not declare",
                f"its outputs are: {', '.join(self._declared)}",
            )
        if name in self.given:
            raise self._refused(f"gives its output {name!r} twice", "give each output once")
        metadata = definition.metadata + output.metadata + self._metadata.pop(name, ())
        self._check_type(output.value, definition, metadata)
        self._store(output.value, definition)
        self.given.add(name)

    def _resolved(self, output_name: str) -> str:
        """The name of the output; an op with one output need not name it."""
        if output_name == DEFAULT_OUTPUT and len(self._declared) == 1:
            return next(iter(self._declared))
        return output_name

    def _check_type(
        self, value: Any, definition: OutputDefinition, metadata: tuple[MetadataEntry, ...]
    ) -> None:
        check = check_type(value, definition.type)
        self._scope.log.tell(
            EventType.STEP_OUTPUT,
            f"Output {definition.name} of type {check.type_name}"
            + ("" if check.success else f" did not pass its type check: {check.description}"),
            step_key=self._step.key,
            data=StepOutputData(definition.name, type_check=check, metadata=metadata),
        )
        if not check.success:
            raise TypeCheckError(
                f"output {definition.name!r} of op {self._step.op.name!r}: {check.description}; mend"
                " the value or the type of the output"
            )

    def _store(self, value: Any, definition: OutputDefinition) -> None:
        step, run = self._step, self._scope.run
        context = OutputContext(
            run_id=run.run_id,
            job_name=run.job_name,
            step_key=step.key,
            op_name=step.op.name,
            output_name=definition.name,
            type_name=definition.type_name,
            log=UserLog(self._scope.log, step.key),
            epoch=self._scope.epoch,
        )
        with user_code_error_boundary(
            OutputHandleError,
            lambda: f"output {definition.name!r} of op {step.op.name!r} could not be stored",
        ):
            self._scope.io_manager.handle_output(context, value)
        self._scope.log.tell(
            EventType.HANDLED_OUTPUT,
            f"Output {definition.name} was stored",
            step_key=step.key,
            data=HandledOutputData(definition.name, IO_MANAGER_KEY, tuple(context.metadata)),
        )

    def _refused(self, problem: str, mend: str) -> StepExecutionError:
        return StepExecutionError(f"op {self._step.op.name!r} {problem}; {mend}")
