"""From the executor that a job names to the one that runs its steps."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from runwire.definitions import ExecutorDefinition, InitExecutorContext, JobDefinition
from runwire.errors import InvalidDefinitionError
from runwire.run_steps import Executor


def make_executor(job: JobDefinition, instance: Any = None) -> Executor:
    """Makes the executor of a job, with its config.

    Args:
        job: the job.
        instance: the instance; None where there is none.

    Raises:
        InvalidDefinitionError: there is no such class, what is made is no executor, or it cannot be made.
    """
    executor_def = job.executor_def.resolved()
    config, made_by = executor_def.config, executor_def.executor_creation_fn
    if callable(made_by):
        context = InitExecutorContext(job, executor_def, config, instance)
        return _made(executor_def, made_by, context)
    module_name, _, class_name = made_by.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:
        raise _refused(executor_def, f"{made_by} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Executor)):
        raise _refused(executor_def, f"{made_by} is no class of executors; derive it from Executor")
    try:
        return found(**{name: getattr(config, name) for name in type(config).model_fields})
    except Exception as error:
        raise _refused(
            executor_def, f"{made_by} cannot be built from its config: {error}"
        ) from error


def _made(executor_def: ExecutorDefinition, fn: Any, context: InitExecutorContext) -> Executor:
    offered = {"context": context, "config": context.executor_config}
    taken = inspect.signature(fn).parameters
    try:
        made = fn(**{key: value for key, value in offered.items() if key in taken})
    except Exception as error:
        problem = f"its function raised {type(error).__name__}: {error}"
        raise _refused(executor_def, problem) from error
    if not isinstance(made, Executor):
        problem = f"its function returned a {type(made).__name__}; return an Executor"
        raise _refused(executor_def, problem)
    return made


def _refused(executor_def: ExecutorDefinition, problem: str) -> InvalidDefinitionError:
    return InvalidDefinitionError(f"executor {executor_def.name!r}: {problem}")
