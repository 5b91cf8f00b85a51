"""Makes the executor that a job names."""

from __future__ import annotations

import importlib

from runwire.definitions import ExecutorDefinition
from runwire.errors import InvalidDefinitionError
from runwire.executor import Executor


def make_executor(executor_def: ExecutorDefinition) -> Executor:
    """Imports the class of an executor, and builds it with its config.

    Raises:
        InvalidDefinitionError: there is no such class, it is no executor, or it cannot be imported or built.
    """
    module_name, _, class_name = executor_def.executor_class.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:
        raise _refused(executor_def, f"cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Executor)):
        raise _refused(executor_def, "is no class of executors; derive it from Executor")
    config = executor_def.config
    try:
        return found(**{name: getattr(config, name) for name in type(config).model_fields})
    except Exception as error:
        raise _refused(executor_def, f"cannot be built from its config: {error}") from error


def _refused(executor_def: ExecutorDefinition, problem: str) -> InvalidDefinitionError:
    return InvalidDefinitionError(
        f"executor {executor_def.name!r}: {executor_def.executor_class} {problem}"
    )
