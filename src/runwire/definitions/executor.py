"""Executors as users name them: which one runs the steps of a job, and with what config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from runwire.config import ComponentConfig, NoConfig, pydantic_problems
from runwire.definitions.places import caller_place, refusal
from runwire.definitions.retries import RetryMode

_NO_CONFIG: Final = NoConfig()


@dataclass(frozen=True)
class ExecutorDefinition:
    """An executor, for `@job(executor_def=...)`.

    Attributes:
        name: its name.
        executor_class: where its class is, as ``package.module.Class``. It is imported by who executes a run
            only, and built with the fields of the config as keyword arguments.
        config_model: the model of its config.
        config: its config, as the model has validated it.
    """

    name: str
    executor_class: str
    config_model: type[BaseModel] = NoConfig
    config: BaseModel = _NO_CONFIG

    def configured(self, config: Mapping[str, Any]) -> ExecutorDefinition:
        """The same executor with this config, in place of any that it had.

        Raises:
            InvalidDefinitionError: the config does not fit; the message tells every problem of it.
        """
        subject = f"executor {self.name!r}"
        if not isinstance(config, Mapping):
            raise refusal(
                caller_place(),
                subject,
                f"it is configured with a {type(config).__name__}",
                f"give a mapping: {self.name}_executor.configured({{...}})",
            )
        try:
            return replace(self, config=self.config_model.model_validate(dict(config)))
        except ValidationError as error:
            problems = pydantic_problems(error)
            told = ", ".join(f"{'.'.join(p.path) or 'config'}: {p.message}" for p in problems)
            keys = ", ".join(self.config_model.model_fields) or "none"
            raise refusal(
                caller_place(), subject, f"its config does not fit: {told}", f"its keys are: {keys}"
            ) from None


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
        "give in_process_executor or multiprocess_executor, which runwire exports",
    )
