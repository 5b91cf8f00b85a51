"""Executors as users name them: which one runs the steps of a job, and with what config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, overload

from pydantic import BaseModel, Field, ValidationError

from runwire.config import ComponentConfig, NoConfig, pydantic_problems
from runwire.definitions.naming import checked_name
from runwire.definitions.places import caller, caller_place, place_of, refusal
from runwire.definitions.retries import RetryMode
from runwire.definitions.signature import (
    CONFIG,
    CONTEXT,
    Reader,
    checked_function,
    description_of,
)

_NO_CONFIG: Final = NoConfig()


@dataclass(frozen=True)
class InitExecutorContext:
    """What the function of an executor is given.

    Attributes:
        job: the `JobDefinition` whose run is executed.
        executor_def: the executor that the job names.
        executor_config: its config, as its model has validated it.
        instance: the instance; None where there is none.
    """

    job: Any
    executor_def: ExecutorDefinition
    executor_config: BaseModel
    instance: Any


@dataclass(frozen=True)
class ExecutorDefinition:
    """An executor, for `@job(executor_def=...)`. Made by `@executor`.

    Attributes:
        name: its name.
        executor_creation_fn: makes the `Executor` of a run: a function, which takes `context` (if it has such a
            parameter) and `config` (if it has a model) by name; or where a class is, as ``package.module.Class``,
            which is imported by who executes a run only, and built with the fields of the config as keyword arguments.
        config_model: the model of its config.
        config: its config, as the model has validated it.
        description: what it is, in its author's words.
        base: of one that was configured by a function, the one that it configures.
        base_config: that function.
    """

    name: str
    executor_creation_fn: Callable[..., Any] | str
    config_model: type[BaseModel] = NoConfig
    config: BaseModel = _NO_CONFIG
    description: str | None = None
    base: ExecutorDefinition | None = None
    base_config: Callable[[Any], Mapping[str, Any]] | None = None

    def configured(
        self,
        config: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]],
        config_model: type[BaseModel] | None = None,
    ) -> ExecutorDefinition:
        """The same executor with this config, in place of any that it had.

        Args:
            config: the config; or a function that gives it, which is given a config of another model.
            config_model: that model, where there is a function; such an executor is configured by it from then on.

        Raises:
            InvalidDefinitionError: the config does not fit; the message tells every problem of it.
        """
        if callable(config):
            model = config_model or NoConfig
            derived = replace(self, config_model=model, base=self, base_config=config)
            return replace(derived, config=_defaults(model))
        return _configured(self, config, caller_place())

    def resolved(self) -> ExecutorDefinition:
        """The executor itself, with the config that functions make for it.

        Raises:
            InvalidDefinitionError: what a function makes does not fit.
        """
        if self.base is None or self.base_config is None:
            return self
        config = self.base_config(self.config)
        return _configured(self.base, config, "its function").resolved()


def _configured(definition: ExecutorDefinition, config: object, place: str) -> ExecutorDefinition:
    """An executor with a config."""
    subject = f"executor {definition.name!r}"
    if not isinstance(config, Mapping):
        raise refusal(
            place,
            subject,
            f"it is configured with a {type(config).__name__}",
            f"give a mapping: {definition.name}_executor.configured({{...}})",
        )
    model = definition.config_model
    try:
        made = replace(definition, config=model.model_validate(dict(config)))
    except ValidationError as error:
        problems = pydantic_problems(error)
        told = ", ".join(f"{'.'.join(p.path) or 'config'}: {p.message}" for p in problems)
        keys = ", ".join(model.model_fields) or "none"
        raise refusal(
            place, subject, f"its config does not fit: {told}", f"its keys are: {keys}"
        ) from None
    made.resolved()
    return made


def _defaults(model: type[BaseModel]) -> BaseModel:
    """The config where nothing is given; one without values where something must be."""
    try:
        return model.model_validate({})
    except ValidationError:
        return model.model_construct()


@overload
def executor(fn: Callable[..., Any], /) -> ExecutorDefinition: ...


@overload
def executor(
    *, name: str | None = None, description: str | None = None
) -> Callable[[Callable[..., Any]], ExecutorDefinition]: ...


def executor(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> ExecutorDefinition | Callable[[Callable[..., Any]], ExecutorDefinition]:
    """Makes an executor of a function that returns an `Executor`; also written bare, as ``@executor``.

    The function is called by the worker of each run. It may take `context`, which is given the
    `InitExecutorContext`, and `config`, annotated with a Pydantic model.

    Args:
        fn: the function, where the decorator is written bare.
        name: the executor's name; that of the function when left out.
        description: what it is; the function's docstring when left out.

    Raises:
        InvalidDefinitionError: this cannot be an executor; the message names place, executor and mend.
    """

    def define(fn: Callable[..., Any]) -> ExecutorDefinition:
        function = checked_function(fn, "executor", caller_place())
        source = place_of(function)
        executor_name = checked_name(
            function.__name__ if name is None else name, source, "executor"
        )
        reader = Reader(function, source, f"executor {executor_name!r}", caller().f_locals)
        parameters = reader.parameters()
        others = [key for key in parameters if key not in (CONTEXT, CONFIG)]
        if others:
            raise reader.refusal(
                f"parameter {others[0]!r} is neither {CONTEXT!r} nor {CONFIG!r}",
                "make it a field of the config's model",
            )
        reader.takes_context(parameters, InitExecutorContext)
        model = reader.config_model(parameters)
        return ExecutorDefinition(
            executor_name,
            function,
            model or NoConfig,
            _NO_CONFIG if model is None else _defaults(model),
            description_of(function, description),
        )

    return define if fn is None else define(fn)


class InProcessConfig(ComponentConfig):
    """The config of the in-process executor."""

    retries: RetryMode = Field(
        default=RetryMode.ENABLED, description="Whether steps that fail may be tried again."
    )


class MultiprocessConfig(InProcessConfig):
    """The config of the multiprocess executor."""

    max_concurrent: int = Field(
        default=0, ge=0, strict=True, description="Steps at once at most; 0: one for each core."
    )


in_process_executor: Final = ExecutorDefinition(
    "in_process",
    "runwire.executors.in_process.InProcessExecutor",
    InProcessConfig,
    InProcessConfig(),
)
"""Runs steps one after another in the process of the run's worker."""

multiprocess_executor: Final = ExecutorDefinition(
    "multiprocess",
    "runwire.executors.multiprocess.MultiprocessExecutor",
    MultiprocessConfig,
    MultiprocessConfig(),
)
"""Runs each step in a process of its own, several at once."""


def checked_executor(executor_def: object, source: str, subject: str) -> ExecutorDefinition:
    """The executor of a job.

    Raises:
        InvalidDefinitionError: it is none.
    """
    if isinstance(executor_def, ExecutorDefinition):
        return executor_def
    shown = repr(executor_def) if isinstance(executor_def, str) else type(executor_def).__name__
    raise refusal(
        source,
        subject,
        f"executor_def is {shown}",
        "give in_process_executor or multiprocess_executor, which runwire exports, or what @executor makes",
    )
